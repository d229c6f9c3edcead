package replicator

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"slices"

	"fardel/media"
	"fardel/site"
	"fardel/site/host"
	"fardel/site/library"
	"fardel/site/store"
)

// offered is a bundle that the carrier may hold and whose key is known.
type offered struct {
	bundleKey
	digest   site.Digest
	writers  []site.Code
	priority site.Priority
	parcel   site.ParcelName
	medium   int
}

// takeContent goes through the bundles of the labels for this site and lets what
// is wanted through the library's door, the urgent ones first. Each bundle is
// read once, and nothing of it is visible before its end was verified.
func (r *Replicator) takeContent(ctx context.Context, c Carrier, mine []arrival, rep *Report) error {
	wants, err := r.host.Settle(ctx)
	if err != nil {
		return err
	}
	list, err := r.offers(mine, wants, rep)
	if err != nil {
		return err
	}
	if err := r.room(list); err != nil {
		return err
	}
	var total, done int64
	for _, o := range list {
		total += o.Size
	}
	r.importing.begin(total)
	for _, o := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, waiting := wants.Packages[o.Package]; !waiting {
			rep.Unneeded++
			continue
		}
		err := r.takeBundle(c, o, wants, rep)
		done += o.Size
		r.importing.reach(done)
		switch {
		case err == nil:
			rep.Bundles++
			if err := r.noteTaken(o); err != nil {
				return err
			}
		case isAbsent(err):
			// On another medium, or still to come: a state, not an error.
		case errors.Is(err, site.Damaged), errors.Is(err, site.WrongKey), errors.Is(err, site.TooNew):
			rep.Faults = append(rep.Faults, site.Damaged.New("a bundle of parcel %s is damaged (medium %d of %d)", o.parcel, o.medium, mediaOf(mine, o.parcel)).
				In("Nothing of it was kept; all other bundles are").
				Then("try another port or drive; else ask %s to export again: only what is missing comes", o.parcel.From).Because(err))
		default:
			return err
		}
	}
	return nil
}

// noteTaken remembers that a bundle was read to its end, so that nobody is asked
// for its medium again, not even by a later import.
func (r *Replicator) noteTaken(o offered) error {
	o.Taken = true
	return r.host.Store.Update(func(tx *store.Tx) error {
		return store.PutJSON(tx, bundleKeyName(o.parcel.From, o.digest), o.bundleKey)
	})
}

func mediaOf(mine []arrival, n site.ParcelName) int {
	for _, a := range mine {
		if a.label.Name() == n {
			return a.label.Media
		}
	}
	return 1
}

// offers lists the bundles that could bring something that is wanted.
func (r *Replicator) offers(mine []arrival, wants *host.Wants, rep *Report) ([]offered, error) {
	var out []offered
	seen := map[string]bool{}
	err := r.host.View(func(v *host.View) error {
		for _, a := range mine {
			for _, b := range a.label.Bundles {
				key := bundleKeyName(a.label.From, b.Digest)
				if seen[key] {
					continue
				}
				seen[key] = true
				k, ok, err := store.GetJSON[bundleKey](v.Tx, key)
				if err != nil {
					return err
				}
				if _, waiting := wants.Packages[k.Package]; !ok || !waiting {
					rep.Unneeded++
					continue
				}
				out = append(out, offered{k, b.Digest, a.writers, b.Priority, a.label.Name(), b.Medium})
			}
		}
		return nil
	})
	slices.SortStableFunc(out, func(a, b offered) int { return cmp.Compare(a.priority.Rank(), b.priority.Rank()) })
	return out, err
}

// room checks the space for all content before any is copied.
func (r *Replicator) room(list []offered) error {
	var need int64
	for _, o := range list {
		need += o.Plain
	}
	free, err := r.host.Library.Space()
	if err != nil || need <= free {
		return err
	}
	return site.NoSpace.New("the content needs up to %s, and %s is free for the library", site.Bytes(need), site.Bytes(free)).
		In("The parcel's entries were applied; no content was copied").
		Then("free %s, and run the import again", site.Bytes(need-free)).
		Then("fardel library clean    removes what no package needs")
}

// takeBundle takes a bundle in, from the first of its copies that is right.
func (r *Replicator) takeBundle(c Carrier, o offered, wants *host.Wants, rep *Report) error {
	var first error
	for _, w := range o.writers {
		err := r.takeCopy(c, w, o, wants, rep)
		if err == nil || !isAbsent(err) && !errors.Is(err, site.Damaged) {
			return err
		}
		if first == nil || isAbsent(first) {
			first = err
		}
	}
	return first
}

// takeCopy reads one bundle from the carrier into one batch of the library.
func (r *Replicator) takeCopy(c Carrier, writer site.Code, o offered, wants *host.Wants, rep *Report) error {
	f, size, err := c.Open(writer, media.BundlePath(o.digest, o.Codec))
	if err != nil {
		return err
	}
	defer f.Close()
	if size != o.Size {
		return site.Damaged.New("a bundle has %d bytes, not %d", size, o.Size)
	}
	br, err := media.OpenBundle(bufio.NewReaderSize(r.importing.reading(f), 1<<20), media.File{Digest: o.digest, Size: o.Size}, o.Codec, o.Key, o.Plain)
	if err != nil {
		return err
	}
	defer br.Close()
	br.LeaveDigests() // the library compares them
	batch := r.host.Library.Begin(func(d site.Digest) bool { _, ok := wants.Files[d]; return ok })
	defer batch.Abort()
	crew := newCrew(batch, r.opts.Workers)
	defer crew.wait() // before the batch ends
	var got []site.Digest
	for {
		it, data, err := br.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if err := r.takeItem(crew, it, data, wants); err != nil {
			return err
		}
		if it.Kind == media.Whole {
			got = append(got, it.Digest)
		}
	}
	if err := crew.wait(); err != nil {
		return err
	}
	if err := batch.Commit(); err != nil {
		return err
	}
	rep.Files, rep.Bytes = rep.Files+batch.Stats().Files, rep.Bytes+batch.Stats().Bytes
	for _, d := range got {
		delete(wants.Files, d)
	}
	return nil
}

func (r *Replicator) takeItem(crew *crew, it media.Item, data io.Reader, wants *host.Wants) error {
	// The size that a manifest gives to a file is no reason to refuse it: the
	// digest decides, and another package's manifest may be wrong.
	if _, wanted := wants.Files[it.Digest]; !wanted {
		return nil
	}
	switch it.Kind {
	case media.Part:
		return crew.batch.ReceivePart(it.Digest, it.Size, it.Offset, data, it.Length)
	case media.Whole:
		if _, manifest := wants.Manifests[it.Digest]; manifest {
			if err := crew.wait(); err != nil { // it changes what is wanted
				return err
			}
			return r.takeManifest(crew.batch, it, data, wants)
		}
		return crew.receive(it, data)
	}
	return nil // a delta, which this version cannot apply: the file stays wanted
}

// takeManifest lets a manifest through the door and reads on the way which files
// it wants: they follow in the same bundle, before the manifest is visible.
func (r *Replicator) takeManifest(batch *library.Batch, it media.Item, data io.Reader, wants *host.Wants) error {
	tmp, err := os.CreateTemp(r.host.Path("inbox"), "manifest-")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	if err := batch.Receive(it.Digest, it.Size, io.TeeReader(data, tmp)); err != nil {
		return err
	}
	if _, err := tmp.Seek(0, io.SeekStart); err != nil {
		return err
	}
	err = host.FilesOf(bufio.NewReader(tmp), it.Size, func(d site.Digest, size int64) error {
		if !r.host.Library.Has(d) {
			wants.Files[d] = size
		}
		return nil
	})
	if errors.Is(err, host.ErrManifest) {
		return nil // so its author made it; what it means is seen when wants are settled
	}
	return err
}

// completeness says what the receipt code of a parcel may claim: that all of its
// content is here, or only its entries.
func (r *Replicator) completeness(v *host.View, n site.ParcelName) (string, error) {
	a, _, err := store.GetJSON[Arrival](v.Tx, inKey(n.From, n.Number))
	if err != nil {
		return "", err
	}
	for _, l := range a.Loads {
		p, err := v.Package(l.ID)
		if errors.Is(err, site.NoSuch) {
			continue // nobody wants it any more
		}
		if err != nil {
			return "", err
		}
		_, wanted, err := v.WantedHere(p)
		if err != nil {
			return "", err
		}
		c, err := v.Content(l.ID)
		if err != nil {
			return "", err
		}
		if wanted && (c.State != site.ContentInstalled || c.Source < l.Source) {
			return codeEntries, nil
		}
	}
	return codeComplete, nil
}
