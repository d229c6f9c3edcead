package replicator

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"

	"fardel/media"
	"fardel/site"
	"fardel/site/host"
)

// relay keeps a parcel for another site, unchanged, if this site lies on the way
// there. It is copied onto the next medium that goes that way.
func (r *Replicator) relay(ctx context.Context, c Carrier, a arrival, extra map[site.Code]site.Site, opts ImportOptions, pr *ParcelReport) error {
	l := a.label
	pr.Outcome = Foreign
	foreign := site.ForeignParcel.New("this medium is for %s (parcel %d); this site is %s", l.To, l.Number, r.host.Self).
		In("Nothing was opened").
		Then("pass it on to %s, or return it to %s", l.To, l.From)
	var hop site.Code
	err := r.host.View(func(v *host.View) error {
		hier, _ := v.WithSites(extra)
		if hier.Related(l.From, l.To) && hier.Related(r.host.Self, l.To) {
			hop = hier.NextHop(r.host.Self, l.To)
		}
		return nil
	})
	if err != nil || hop == "" || slices.Contains(a.writers, hop) {
		pr.Fault = foreign
		return err
	}
	if arrived, err := r.relayDone(l.Name()); err != nil || arrived {
		pr.Outcome = Already
		return err
	}
	if !opts.DryRun {
		if err := r.relayRoom(l); err != nil {
			pr.Fault = site.AsFault(err) // the other parcels of the medium have room
			return nil
		}
		if err := r.copyRelay(ctx, c, a); err != nil {
			return err
		}
	}
	pr.Outcome = Relayed
	return nil
}

func (r *Replicator) relayRoom(l media.Label) error {
	have, err := dirSize(r.host.Path("relay"))
	if err != nil {
		return err
	}
	need := l.Body.Size
	for _, f := range l.Segments {
		need += f.Size
	}
	for _, b := range l.Bundles {
		need += b.Size
	}
	limit := r.opts.RelayBytes
	if limit <= 0 {
		free, err := r.host.Library.Space()
		if err != nil {
			return err
		}
		limit = (have + free) / 5
	}
	if have+need > limit {
		return site.NoSpace.New("parcel %s on its way to %s needs %d bytes; parcels on their way may take %d here and take %d", l.Name(), l.To, need, limit, have).
			In("Nothing of it was copied").Then("carry the medium on to %s yourself", l.To)
	}
	return r.host.Store.CheckSpace(need)
}

// copyRelay copies the files, and the label last. Bundles that are on another
// medium come when that one is plugged in.
func (r *Replicator) copyRelay(ctx context.Context, c Carrier, a arrival) error {
	l := a.label
	box := folder(r.host.Path("relay", l.Name().String()))
	want := map[string]media.File{media.BodyPath(l.Name()): l.Body}
	for _, s := range l.Segments {
		want[media.SegmentPath(s.Digest)] = s
	}
	for _, b := range l.Bundles {
		want[media.BundlePath(b.Digest, b.Codec)] = b.File
	}
	for name, file := range want {
		if err := ctx.Err(); err != nil {
			return err
		}
		dst := box.path(l.From, name)
		if info, err := os.Stat(dst); err == nil && info.Size() == file.Size {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(dst), 0o700); err != nil {
			return err
		}
		part := dst + ".part"
		_ = os.Remove(part) // of an interrupted copy
		err := copyChecked(c, a.writers, name, file, part)
		if isAbsent(err) && name == media.BodyPath(l.Name()) {
			return site.Damaged.New("parcel %s lacks its body", l.Name()).In("Nothing of it was copied").
				Then("look for the rest of the medium, or ask %s to export again", l.From)
		}
		if isAbsent(err) {
			continue
		}
		if err == nil {
			err = publish(part, dst)
		}
		if err != nil {
			return errors.Join(err, removeQuiet(part))
		}
	}
	label := box.path(l.From, media.LabelPath(l.Name()))
	if err := os.MkdirAll(filepath.Dir(label), 0o700); err != nil {
		return err
	}
	return host.WriteFile(label, a.msg, 0o600)
}

// publish gives a file that was written beside it its name, durably.
func publish(part, dst string) error {
	f, err := os.OpenFile(part, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(part, dst); err != nil {
		return err
	}
	return host.SyncDir(filepath.Dir(dst))
}

func removeQuiet(path string) error {
	err := os.Remove(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// relayDone reports whether the destination's own record says that the parcel
// arrived there.
func (r *Replicator) relayDone(n site.ParcelName) (bool, error) {
	done := false
	err := r.host.View(func(v *host.View) error {
		log := site.LogID{Site: n.To, Log: site.Observations}
		_, _, ok, err := v.Latest(log, site.KindImport, n.String())
		if done = ok; done || err != nil {
			return err
		}
		_, done, err = handedOn(v, n)
		return err
	})
	return done, err
}

// A RelayedParcel waits here on its way to another site.
type RelayedParcel struct {
	Name  site.ParcelName
	Label media.Label
	Files []OutFile
	Bytes int64
	Gone  bool // it went on from here before, and may have been lost
}

// Relays returns the parcels on their way through this site whose next hop, or
// destination, is to; all of them if to is empty. Those that have arrived are
// removed.
func (r *Replicator) Relays(to site.Code) ([]RelayedParcel, error) {
	dirs, err := os.ReadDir(r.host.Path("relay"))
	if err != nil {
		return nil, err
	}
	var out []RelayedParcel
	for _, d := range dirs {
		name, err := site.ParseParcelName(d.Name())
		if err != nil {
			continue
		}
		done, err := r.relayDone(name)
		if err != nil {
			return nil, err
		}
		if done {
			if err := os.RemoveAll(r.host.Path("relay", d.Name())); err != nil {
				return nil, err
			}
			continue
		}
		var hop site.Code
		gone := false
		err = r.host.View(func(v *host.View) (err error) {
			hop = v.Hier.NextHop(r.host.Self, name.To)
			gone, _, err = handedOn(v, name)
			return err
		})
		if err != nil {
			return nil, err
		}
		if to != "" && name.To != to && hop != to {
			continue
		}
		p, ok, err := r.relayed(name)
		if err != nil {
			return nil, err
		}
		if ok {
			p.Gone = gone
			out = append(out, p)
		}
	}
	return out, nil
}

func (r *Replicator) relayed(name site.ParcelName) (RelayedParcel, bool, error) {
	p := RelayedParcel{Name: name}
	box := folder(r.host.Path("relay", name.String()))
	label := box.path(name.From, media.LabelPath(name))
	msg, err := os.ReadFile(label)
	if err != nil {
		return p, false, removeIncomplete(err)
	}
	if p.Label, err = media.ReadLabel(msg); err != nil {
		return p, false, err
	}
	add := func(n string, f media.File) {
		path := box.path(name.From, n)
		if info, err := os.Stat(path); err == nil && info.Size() == f.Size {
			p.Files = append(p.Files, OutFile{n, path, f.Digest, f.Size, 0})
			p.Bytes += f.Size
		}
	}
	add(media.LabelPath(name), media.File{Digest: site.DigestOf(msg), Size: int64(len(msg))})
	add(media.BodyPath(name), p.Label.Body)
	for _, s := range p.Label.Segments {
		add(media.SegmentPath(s.Digest), s)
	}
	for _, b := range p.Label.Bundles {
		add(media.BundlePath(b.Digest, b.Codec), b.File)
	}
	return p, true, nil
}

// removeIncomplete makes a copy without a label, which was interrupted, no
// error: the next import of the medium completes it.
func removeIncomplete(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
