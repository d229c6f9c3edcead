package courier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"fardel/media"
	"fardel/site"
)

// ReadBack reads all of the load from the medium again and compares every
// digest. Before each file is read it is thrown out of the page cache; fromMedium
// reports whether that worked for all of them. If not, the answer is worth less,
// and a person has to be told: the bytes may have come from memory.
//
// A wrong, short or absent file gives site.Damaged, which names it.
func ReadBack(ctx context.Context, path string, load Load, progress Progress) (fromMedium bool, err error) {
	if err := load.check(); err != nil {
		return false, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return false, noMedium(path, err)
	}
	c := newCarrier(path, root)
	defer c.Close()
	b := &backReader{ctx: ctx, carrier: c, own: media.Dir(load.From), progress: progress, total: load.Bytes(), fromMedium: true}
	for _, it := range load.Items() {
		if err := b.check(it); err != nil {
			return false, err
		}
	}
	if err := b.checkSums(load); err != nil {
		return false, err
	}
	return b.fromMedium, nil
}

type backReader struct {
	ctx         context.Context
	carrier     *Carrier
	own         string
	progress    Progress
	done, total int64
	fromMedium  bool
}

func (b *backReader) check(it Item) error {
	dir, base, _ := splitName(it.Name)
	f, size, err := b.carrier.open(b.own+"/"+dir, base)
	if err != nil {
		return b.explain(err, it.Name)
	}
	defer f.Close()
	if size != it.Size {
		return b.damaged(it.Name, fmt.Errorf("has %d bytes, not %d", size, it.Size))
	}
	if !dropCache(f, size) {
		b.fromMedium = false
	}
	sum := media.NewSum()
	_, err = io.Copy(sum, &counting{b, it.Name, io.LimitReader(f, size)})
	switch {
	case err != nil:
		return b.explain(err, it.Name)
	case !sum.Is(it.Digest, size):
		return b.damaged(it.Name, errors.New("reads differently from what was written"))
	}
	return nil
}

// checkSums makes sure that a person with sha256sum will see what we saw.
func (b *backReader) checkSums(load Load) error {
	if r, err := b.carrier.folder(b.own); err == nil {
		if f, size, err := openFile(r, media.SumsName); err == nil {
			if !dropCache(f, size) {
				b.fromMedium = false
			}
			f.Close()
		}
	}
	s, _, err := readSums(b.carrier, b.own)
	if err != nil {
		return b.explain(err, media.SumsName)
	}
	for _, it := range load.Items() {
		if s[it.Name] != it.Digest {
			return b.damaged(media.SumsName, fmt.Errorf("does not say what was written of %s", it.Name))
		}
	}
	return nil
}

func (b *backReader) explain(err error, name string) error {
	if errors.Is(err, fs.ErrNotExist) && still(b.carrier.root, b.carrier.path) {
		return b.damaged(name, errors.New("is not there"))
	}
	return b.carrier.explain(err, "reading back", name)
}

func (b *backReader) damaged(name string, err error) error {
	return site.Damaged.New("%s on %s %s", name, b.carrier.path, err).
		In("The export is not done: do not send this medium").
		Then("Run the same command again: what is damaged is written anew").
		Then("If it happens again, take another medium").Because(err)
}

// counting reports progress, and stops when the job is called off.
type counting struct {
	b    *backReader
	name string
	r    io.Reader
}

// Read implements [io.Reader].
func (c *counting) Read(p []byte) (int, error) {
	if err := c.b.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.b.done += int64(n)
	if c.b.progress != nil {
		c.b.progress(c.name, c.b.done, c.b.total)
	}
	return n, err
}
