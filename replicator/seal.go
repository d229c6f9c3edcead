package replicator

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"fardel/media"
	"fardel/site"
	"fardel/site/store"
)

// sealed is a bundle or segment that lies in the outbox, or lay there: the key
// of its record is made from what is in it, so that one file serves every
// destination that lacks the same.
type sealed struct {
	Digest site.Digest `json:"digest"`
	Size   int64       `json:"size"`
	Key    string      `json:"key"`
	Plain  int64       `json:"plain"`
	Codec  media.Codec `json:"codec,omitempty"`
}

func (s sealed) file() media.File { return media.File{Digest: s.Digest, Size: s.Size} }

// A shipment is a bundle on its way: what the label, the body and the sender
// have to know of it.
type shipment struct {
	sealed
	pkg      site.PackageID
	source   int64
	priority site.Priority
}

// outbox returns where a sealed file lies.
func (r *Replicator) outbox(name string) string {
	return r.host.Path("outbox", "bundles", path.Base(name))
}

// sealLoad makes the bundles of one load, or finds them in the outbox.
func (r *Replicator) sealLoad(ctx context.Context, l Load, codec media.Codec, limit int64) ([]shipment, error) {
	var out []shipment
	for _, items := range cut(l.Files, min(limit, r.opts.BundleBytes)) {
		s, err := r.sealBundle(ctx, items, codec)
		if err != nil {
			return nil, err
		}
		prio := l.Package.Priority
		if prio == "" {
			prio = site.PriorityMedium
		}
		out = append(out, shipment{s, l.Package.ID, l.Package.Source, prio})
	}
	return out, nil
}

// cut splits files into the items of bundles. Each bundle begins with the first
// file, which is the manifest, so that the bundles can arrive in any order.
func cut(files []Need, limit int64) [][]media.Item {
	manifest := whole(files[0])
	var out [][]media.Item
	bundle, size := []media.Item{manifest}, manifest.Size
	flush := func() {
		out = append(out, bundle)
		bundle, size = []media.Item{manifest}, manifest.Size
	}
	for _, f := range files[1:] {
		if f.Size > limit {
			for off := int64(0); off < f.Size; off += limit {
				if len(bundle) > 1 {
					flush()
				}
				n := min(limit, f.Size-off)
				bundle = append(bundle, media.Item{Kind: media.Part, Digest: f.Digest, Size: f.Size, Offset: off, Length: n})
				size += n
			}
			continue
		}
		if len(bundle) > 1 && (size+f.Size > limit || len(bundle) >= bundleFiles) {
			flush()
		}
		bundle, size = append(bundle, whole(f)), size+f.Size
	}
	return append(out, bundle)
}

func whole(f Need) media.Item {
	return media.Item{Kind: media.Whole, Digest: f.Digest, Size: f.Size, Length: f.Size}
}

// sealBundle seals items into one bundle, which is opened again on the way to its
// end, and records it. What was sealed before, and still lies in the outbox, is used again.
func (r *Replicator) sealBundle(ctx context.Context, items []media.Item, codec media.Codec) (sealed, error) {
	h := sha256.New()
	fmt.Fprintf(h, "bundle 1 %s %s\n", codec, r.host.Me.Sealing)
	var bytes int64
	for _, it := range items {
		fmt.Fprintf(h, "%s %s %d %d %d\n", it.Kind, it.Digest, it.Size, it.Offset, it.Length)
		bytes += it.Length
	}
	key := fmt.Sprintf("sealed/%x", h.Sum(nil))
	if s, ok, err := r.findSealed(key, func(s sealed) string { return media.BundlePath(s.Digest, codec) }); ok || err != nil {
		r.sealing.add(bytes)
		return s, err
	}
	secret, to, err := newKey(r.host.Me.Sealing)
	if err != nil {
		return sealed{}, err
	}
	s := sealed{Key: secret, Codec: codec}
	err = r.spool(bytes, func(w io.Writer) error {
		bw, err := media.NewProvedBundle(w, codec, secret, to, r.opts.Workers)
		if err != nil {
			return err
		}
		for _, it := range items {
			if err = r.addItem(ctx, bw, it); err != nil {
				break
			}
		}
		var proved error
		s.Plain, proved = bw.Close()
		return r.wordSealing(ctx, items, cmp.Or(err, proved))
	}, &s, func() string { return media.BundlePath(s.Digest, codec) })
	if err != nil {
		return s, err
	}
	return s, r.host.Store.Update(func(tx *store.Tx) error { return store.PutJSON(tx, key, s) })
}

// addItem copies one file, or a part of one, from the library into a bundle.
func (r *Replicator) addItem(ctx context.Context, bw *media.BundleWriter, it media.Item) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f, err := r.host.Library.Open(it.Digest)
	if err != nil {
		return err
	}
	defer f.Close()
	return bw.Add(it, r.sealing.reading(io.NewSectionReader(f, it.Offset, it.Length)))
}

// wordSealing says what it means that a bundle cannot be opened again: a file in
// the library was damaged, or else this program is wrong.
func (r *Replicator) wordSealing(ctx context.Context, items []media.Item, err error) error {
	if !errors.Is(err, site.Damaged) {
		return err
	}
	for _, it := range items {
		if worse := r.host.Library.Verify(ctx, it.Digest); errors.Is(worse, site.Damaged) {
			return site.StateDamaged.New("the file %s in the library is damaged", it.Digest.Short()).
				In("Nothing was exported").Then("fardel library verify").Because(worse)
		}
	}
	return site.Internal.New("a bundle that was just sealed cannot be read back: %v", err).
		In("Nothing was exported").Because(err)
}

// spool writes a sealed file into the outbox under the name that its digest
// gives it, durably.
func (r *Replicator) spool(need int64, write func(io.Writer) error, s *sealed, name func() string) (err error) {
	if err := r.host.Store.CheckSpace(need/8 + 1<<20); err != nil {
		return err
	}
	f, err := os.CreateTemp(r.host.Path("outbox", "bundles"), "part-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	sum := media.NewSum()
	if err := write(io.MultiWriter(f, sum)); err != nil {
		return err
	}
	s.Digest, s.Size = sum.Digest(), sum.Size()
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), r.outbox(name())); err != nil {
		return err
	}
	return f.Close()
}

func (r *Replicator) findSealed(key string, name func(sealed) string) (s sealed, ok bool, err error) {
	err = r.host.Store.View(func(tx *store.Tx) (err error) {
		s, ok, err = store.GetJSON[sealed](tx, key)
		return err
	})
	if err != nil || !ok {
		return s, false, err
	}
	info, err := os.Stat(r.outbox(name(s)))
	return s, err == nil && info.Size() == s.Size, nil
}
