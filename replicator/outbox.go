package replicator

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fardel/media"
	"fardel/site"
	"fardel/site/host"
)

// sweep removes what interrupted processes have left half-written. Only one
// process has the site open, so nothing of it is in use.
func (r *Replicator) sweep() error {
	for _, pattern := range []string{"inbox/stage-*", "inbox/manifest-*", "outbox/bundles/part-*", "outbox/parcels/.*"} {
		found, err := filepath.Glob(r.host.Path(pattern))
		if err != nil {
			return err
		}
		for _, path := range found {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// tidyOutbox removes labels and bodies of parcels that have left, and the oldest
// sealed bundles and segments above the budget: all of them can be made again
// from the library and the logs. What a parcel needs that has not left yet stays.
func (r *Replicator) tidyOutbox() error {
	keep := map[string]bool{}
	err := r.host.View(func(v *host.View) error {
		list, err := Parcels(v, "")
		for _, p := range list {
			if p.State == StatePacked {
				keep[filepath.Base(media.LabelPath(p.Name()))] = true
				keep[filepath.Base(media.BodyPath(p.Name()))] = true
				for _, d := range p.Bundles {
					keep[d.String()] = true
				}
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	parcels, err := os.ReadDir(r.host.Path("outbox", "parcels"))
	if err != nil {
		return err
	}
	for _, f := range parcels {
		if !keep[f.Name()] {
			if err := os.Remove(r.host.Path("outbox", "parcels", f.Name())); err != nil {
				return err
			}
		}
	}
	return r.trimCache(keep)
}

func (r *Replicator) trimCache(keep map[string]bool) error {
	dir := r.host.Path("outbox", "bundles")
	names, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var files []fs.FileInfo
	var total int64
	for _, n := range names {
		info, err := n.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		files, total = append(files, info), total+info.Size()
	}
	budget := r.opts.CacheBytes
	if budget <= 0 {
		free, err := r.host.Library.Space()
		if err != nil {
			return err
		}
		budget = (free + total) / 5
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return cmp.Compare(a.ModTime().UnixNano(), b.ModTime().UnixNano()) })
	for _, f := range files {
		if total <= budget {
			return nil
		}
		digest, _, _ := strings.Cut(f.Name(), ".")
		if keep[digest] {
			continue
		}
		if err := os.Remove(filepath.Join(dir, f.Name())); err != nil {
			return err
		}
		total -= f.Size()
	}
	return nil
}

// complete reports whether all files of a packed parcel still lie in the outbox.
func (r *Replicator) complete(p Parcel) bool {
	msg, err := os.ReadFile(r.labelPath(p.Name()))
	if err != nil || site.DigestOf(msg) != p.Label {
		return false
	}
	l, err := media.ReadLabel(msg)
	if err != nil || !sized(r.bodyPath(p.Name()), l.Body.Size) {
		return false
	}
	for _, s := range l.Segments {
		if !sized(r.outbox(media.SegmentPath(s.Digest)), s.Size) {
			return false
		}
	}
	for _, b := range l.Bundles {
		if !sized(r.outbox(media.BundlePath(b.Digest, b.Codec)), b.Size) {
			return false
		}
	}
	return true
}

func sized(path string, size int64) bool {
	info, err := os.Stat(path)
	return err == nil && info.Size() == size
}
