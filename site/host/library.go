package host

import (
	"context"
	"errors"
	"slices"
	"strings"

	"fardel/site"
	"fardel/site/store"
)

// Verified is what re-hashing came to.
type Verified struct {
	Files   int64    `json:"files"`
	Bytes   int64    `json:"bytes"`
	Damaged []string `json:"damaged"` // package ids, or digests that no package uses
}

// VerifyPackage re-hashes every file of a package. Damaged files are thrown out
// and become wants, so that the next parcel from above brings them again.
func (h *Host) VerifyPackage(ctx context.Context, id site.PackageID) (Verified, error) {
	var p *Package
	var c Content
	err := h.View(func(v *View) (err error) {
		if p, err = v.Package(id); err != nil {
			return err
		}
		c, err = v.Content(id)
		return err
	})
	if err != nil {
		return Verified{}, err
	}
	var out Verified
	check := func(d site.Digest, size int64) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := h.Library.Verify(ctx, d)
		out.Files, out.Bytes = out.Files+1, out.Bytes+size
		if errors.Is(err, site.Damaged) || errors.Is(err, site.NoSuch) {
			out.Damaged = append(out.Damaged, d.Short())
			return h.discard(d)
		}
		return err
	}
	manifest := c.Held
	if manifest.IsZero() {
		manifest = p.Manifest
	}
	size, err := h.Library.Size(manifest)
	if err != nil {
		return out, err
	}
	if err := check(manifest, size); err != nil || len(out.Damaged) > 0 {
		return out, errors.Join(err, h.reopen(ctx, out))
	}
	if err := h.EachFile(manifest, size, check); err != nil {
		return out, err
	}
	return out, h.reopen(ctx, out)
}

func (h *Host) discard(d site.Digest) error {
	if !h.Library.Has(d) {
		return nil
	}
	return h.Library.Remove(d)
}

// reopen has every package looked at again after files were lost: others may use
// them too.
func (h *Host) reopen(ctx context.Context, out Verified) error {
	if len(out.Damaged) == 0 {
		return nil
	}
	return h.forgetAll(ctx)
}

// Forget makes the next [Host.Settle] look at a package's files again.
func (h *Host) Forget(id site.PackageID) error {
	return h.Update(func(v *View) error {
		c, err := v.Content(id)
		if err != nil || c.State != site.ContentInstalled {
			return err
		}
		c.State, c.Missing, c.Held = site.ContentWaiting, -1, site.Digest{}
		return v.PutContent(id, c)
	})
}

// Users returns, for each file that packages held here are made of, how many of
// them use it. Keep is how many source versions of a package count.
func (h *Host) Users(keep int) (map[site.Digest]int, error) {
	users := map[site.Digest]int{}
	err := h.View(func(v *View) error {
		manifests, err := v.keptManifests(keep)
		if err != nil {
			return err
		}
		for m := range manifests {
			if !h.Library.Has(m) {
				continue
			}
			users[m]++
			size, err := h.Library.Size(m)
			if err != nil {
				return err
			}
			if err := h.EachFile(m, size, func(d site.Digest, _ int64) error { users[d]++; return nil }); err != nil && !errors.Is(err, ErrManifest) {
				return err
			}
		}
		return nil
	})
	return users, err
}

// keptManifests lists the manifests whose files must stay: the current version
// of each package that is wanted here, the version held now, those that a site
// below is known to hold, and the last versions up to keep.
func (v *View) keptManifests(keep int) (map[site.Digest]bool, error) {
	out := map[site.Digest]bool{}
	list, err := v.Packages()
	if err != nil {
		return nil, err
	}
	for _, p := range list {
		if _, wanted, err := v.WantedHere(p); err != nil || !wanted {
			if err != nil {
				return nil, err
			}
			continue
		}
		out[p.Manifest] = true
		c, err := v.Content(p.ID)
		if err != nil {
			return nil, err
		}
		out[c.Held] = true
		var versions []site.Digest
		err = v.Scan(store.Records, versionPrefix+string(p.ID)+"/", func(_ string, value []byte) error {
			var rec Version
			if err := site.DecodeCanonical(value, &rec); err != nil {
				return err
			}
			versions = append(versions, rec.Manifest)
			return nil
		})
		if err != nil {
			return nil, err
		}
		for _, m := range versions[max(0, len(versions)-keep):] {
			out[m] = true
		}
	}
	for _, below := range v.Hier.Subtree(v.Host.Self) {
		held, err := v.PeerContent(below)
		if err != nil {
			return nil, err
		}
		for _, c := range held {
			out[c.Held] = true
		}
	}
	delete(out, site.Digest{})
	return out, nil
}

// Cleaned is what cleaning the library came to.
type Cleaned struct {
	Files int64 `json:"files"`
	Bytes int64 `json:"bytes"`
	Kept  int64 `json:"kept"` // files that stay
	Dry   bool  `json:"dry_run"`
}

// CleanLibrary removes the files that no package needs any more, and those of
// versions older than the last keep.
func (h *Host) CleanLibrary(ctx context.Context, keep int, dry bool) (Cleaned, error) {
	users, err := h.Users(keep)
	if err != nil {
		return Cleaned{}, err
	}
	out := Cleaned{Dry: dry}
	var gone []site.Digest
	err = h.Library.Walk(func(d site.Digest, size int64) error {
		if users[d] > 0 {
			out.Kept++
			return ctx.Err()
		}
		gone = append(gone, d)
		out.Files, out.Bytes = out.Files+1, out.Bytes+size
		return ctx.Err()
	})
	if err != nil || dry {
		return out, err
	}
	for _, d := range gone {
		if err := h.Library.Remove(d); err != nil {
			return out, err
		}
	}
	return out, nil
}

// VerifyLibrary re-hashes everything in the library. What does not match is
// thrown out, and the packages that need it wait for it again.
func (h *Host) VerifyLibrary(ctx context.Context, progress Progress) (Verified, error) {
	var out Verified
	bad := map[site.Digest]bool{}
	err := h.Library.Walk(func(d site.Digest, size int64) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		out.Files, out.Bytes = out.Files+1, out.Bytes+size
		if progress != nil {
			progress("Verifying", out.Bytes, 0)
		}
		err := h.Library.Verify(ctx, d)
		if errors.Is(err, site.Damaged) {
			bad[d] = true
			return nil
		}
		return err
	})
	if err != nil || len(bad) == 0 {
		return out, err
	}
	for d := range bad {
		out.Damaged = append(out.Damaged, d.Short())
		if err := h.discard(d); err != nil {
			return out, err
		}
	}
	slices.SortFunc(out.Damaged, strings.Compare)
	return out, h.forgetAll(ctx)
}

// forgetAll makes Settle look at every package again.
func (h *Host) forgetAll(ctx context.Context) error {
	var ids []site.PackageID
	err := h.View(func(v *View) error {
		list, err := v.Packages()
		for _, p := range list {
			ids = append(ids, p.ID)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := h.Forget(id); err != nil {
			return err
		}
	}
	_, err = h.Settle(ctx)
	return err
}
