package replicator

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"fardel/media"
	"fardel/site"
	"fardel/site/host"
	"fardel/site/store"
)

// inboxBytes is how much may wait here for earlier parcels.
const inboxBytes = 1 << 30

// hold keeps a parcel whose predecessor has not been applied: its label, body
// and segments. The bundles stay on the medium. It returns nil if the parcel
// need not wait.
func (r *Replicator) hold(c Carrier, in *incoming) (*site.Fault, error) {
	l := in.a.label
	var link host.Link
	err := r.host.View(func(v *host.View) (err error) {
		link, err = v.Link(l.From)
		return err
	})
	if err != nil || l.After <= link.Applied {
		return nil, err
	}
	missing := site.ParcelName{From: l.From, To: l.To, Number: l.After}
	fault := site.Held.New("parcel %d is good, but parcel %d has not arrived", l.Number, l.After).
		In("%d is kept and applies by itself when %d is imported; keep this medium for its content", l.Number, l.After).
		Then("import the medium with %s", missing).
		Then("if it is lost, ask %s for: fardel export %s --full", l.From, l.To)
	held, err := dirSize(r.host.Path("inbox"))
	if err != nil {
		return nil, err
	}
	if held > inboxBytes {
		fault.State = "The inbox is full, so it was not kept; keep this medium"
		return fault, nil
	}
	box := folder(r.host.Path("inbox"))
	files := map[string]string{media.BodyPath(l.Name()): in.dir}
	for _, s := range l.Segments {
		files[media.SegmentPath(s.Digest)] = in.dir
	}
	for name, dir := range files {
		dst := box.path(l.From, name)
		if err := os.MkdirAll(filepath.Dir(dst), 0o700); err != nil {
			return nil, err
		}
		if err := host.CopyFile(dst, path.Join(dir, path.Base(name)), 0o600); err != nil {
			return nil, err
		}
	}
	label := box.path(l.From, media.LabelPath(l.Name()))
	if err := os.MkdirAll(filepath.Dir(label), 0o700); err != nil {
		return nil, err
	}
	if err := host.WriteFile(label, in.a.msg, 0o600); err != nil {
		return nil, err
	}
	return fault, r.host.Update(func(v *host.View) error {
		return store.PutJSON(v.Tx, inKey(l.From, l.Number), Arrival{
			From: l.From, To: l.To, Number: l.Number, After: l.After, Label: site.DigestOf(in.a.msg), State: ArrivalHeld,
			At: site.Moment(r.host.Now()), By: host.Operator(), Bytes: in.bytes(), Created: site.Moment(l.Created),
		})
	})
}

// retryHeld applies held parcels whose turn has come, until none is left that can
// be.
func (r *Replicator) retryHeld(ctx context.Context, extra map[site.Code]site.Site, opts ImportOptions, rep *Report) error {
	box := folder(r.host.Path("inbox"))
	for {
		progress := false
		arrivals, err := r.readLabels(box, &Report{})
		if err != nil {
			return err
		}
		for _, a := range arrivals {
			ready, err := r.ready(a)
			if err != nil || !ready {
				if err != nil {
					return err
				}
				continue
			}
			pr, err := r.take(ctx, box, a, extra, opts, rep)
			if err != nil {
				return err
			}
			if pr.Outcome == HeldBack {
				continue
			}
			r.forgetHeld(a.label.Name())
			progress = progress || pr.Outcome == Imported
			rep.replace(pr)
		}
		if !progress {
			return nil
		}
	}
}

// replace puts the latest word about a parcel in the place of an earlier one.
func (rep *Report) replace(pr ParcelReport) {
	for i := range rep.Parcels {
		if rep.Parcels[i].Name == pr.Name {
			rep.Parcels[i] = pr
			return
		}
	}
	rep.Parcels = append(rep.Parcels, pr)
}

func (r *Replicator) ready(a arrival) (bool, error) {
	ready := false
	err := r.host.View(func(v *host.View) error {
		link, err := v.Link(a.label.From)
		ready = a.label.After <= link.Applied
		return err
	})
	return ready, err
}

// forgetHeld removes what was kept of a parcel that has been applied.
func (r *Replicator) forgetHeld(n site.ParcelName) {
	box := folder(r.host.Path("inbox"))
	for _, name := range []string{media.LabelPath(n), media.BodyPath(n)} {
		// A file that stays is looked at again, and found to be applied.
		_ = os.Remove(box.path(n.From, name))
	}
}

// folder is a carrier that is a folder of this site's own.
type folder string

func (f folder) path(from site.Code, name string) string {
	return filepath.Join(string(f), filepath.FromSlash(media.Dir(from)), filepath.FromSlash(name))
}

// Writers implements [Carrier].
func (f folder) Writers() ([]site.Code, error) {
	names, err := os.ReadDir(filepath.Join(string(f), media.Top))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []site.Code
	for _, n := range names {
		if c := site.Code(n.Name()); c.Valid() && n.IsDir() {
			out = append(out, c)
		}
	}
	return out, err
}

// Names implements [Carrier].
func (f folder) Names(from site.Code) ([]string, error) {
	root := f.path(from, "")
	var out []string
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && !strings.HasPrefix(d.Name(), ".") {
			rel, _ := filepath.Rel(root, p)
			out = append(out, filepath.ToSlash(rel))
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return out, err
}

// Open implements [Carrier].
func (f folder) Open(from site.Code, name string) (io.ReadCloser, int64, error) {
	file, err := os.Open(f.path(from, name))
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Size(), nil
}

// dirSize returns the bytes of the regular files in a folder.
func dirSize(dir string) (int64, error) {
	var n int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	return n, err
}
