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
	"fardel/site/journal"
	"fardel/site/store"
)

// inboxBytes is how much may wait here for earlier parcels.
const inboxBytes = 1 << 30

// mustWait says what is missing before a parcel can be applied; nil if nothing is.
func (r *Replicator) mustWait(l media.Label) (*site.Fault, error) {
	var link host.Link
	err := r.host.View(func(v *host.View) (err error) {
		link, err = v.Link(l.From)
		return err
	})
	if err != nil || l.After <= link.Applied {
		return nil, err
	}
	missing := site.ParcelName{From: l.From, To: l.To, Number: l.After}
	return site.Held.New("parcel %d is good, but parcel %d has not arrived", l.Number, l.After).
		In("%d is kept and applies by itself when %d is imported; keep this medium for its content", l.Number, l.After).
		Then("import the medium with %s", missing).
		Then("if it is lost, ask %s for: fardel export %s --full", l.From, l.To), nil
}

// keep stores a parcel that has to wait: its label, body and segments. The
// bundles stay on the medium. If the inbox is full, the fault says so.
func (in *incoming) keep(fault *site.Fault, dry bool) error {
	inbox := in.r.host.Path("inbox")
	held, err := dirSize(inbox)
	if err != nil || dry {
		return err
	}
	if held > inboxBytes {
		fault.State = "The inbox is full, so it was not kept; keep this medium"
		return nil
	}
	l := in.a.label
	names := []string{media.BodyPath(l.Name())}
	for _, s := range l.Segments {
		names = append(names, media.SegmentPath(s.Digest))
	}
	box := folder(inbox)
	for _, name := range names {
		dst := box.path(l.From, name)
		if err := os.MkdirAll(filepath.Dir(dst), 0o700); err != nil {
			return err
		}
		if err := host.CopyFile(dst, path.Join(in.dir, path.Base(name)), 0o600); err != nil {
			return err
		}
	}
	label := box.path(l.From, media.LabelPath(l.Name()))
	if err := os.MkdirAll(filepath.Dir(label), 0o700); err != nil {
		return err
	}
	if err := host.WriteFile(label, in.a.msg, 0o600); err != nil {
		return err
	}
	return in.r.host.Update(func(v *host.View) error {
		return store.PutJSON(v.Tx, inKey(l.From, l.Number), Arrival{
			From: l.From, To: l.To, Number: l.Number, After: l.After, Label: site.DigestOf(in.a.msg), State: ArrivalHeld,
			At: site.Moment(in.r.host.Now()), By: host.Operator(), Bytes: in.bytes(), Created: site.Moment(l.Created),
		})
	})
}

// retryHeld applies held parcels whose turn has come, until none is left that can
// be.
func (r *Replicator) retryHeld(ctx context.Context, trust []journal.TrustEntry, opts ImportOptions, rep *Report) error {
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
			pr, err := r.take(ctx, box, a, trust, opts, rep)
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

// forgetHeld removes what was kept of a parcel that has been applied: the label,
// and whatever no other label in the inbox names. A file that stays is looked at
// again, and found to be applied.
func (r *Replicator) forgetHeld(n site.ParcelName) {
	box := folder(r.host.Path("inbox"))
	if os.Remove(box.path(n.From, media.LabelPath(n))) != nil {
		return // it was not held
	}
	left, err := r.readLabels(box, &Report{})
	if err != nil {
		return
	}
	named := map[string]bool{}
	for _, a := range left {
		named[box.path(a.label.From, a.name)] = true
		named[box.path(a.label.From, media.BodyPath(a.label.Name()))] = true
		for _, s := range a.label.Segments {
			named[box.path(a.label.From, media.SegmentPath(s.Digest))] = true
		}
	}
	names, err := box.Names(n.From)
	if err != nil {
		return
	}
	for _, name := range names {
		if path := box.path(n.From, name); !named[path] {
			_ = os.Remove(path)
		}
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
