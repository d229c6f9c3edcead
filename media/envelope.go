package media

import (
	"errors"
	"io"

	"filippo.io/age"

	"fardel/site"
)

// codecWorkers is how many cores a body or a segment is compressed on. They are
// small; for bundles the caller decides.
const codecWorkers = 2

// envelope is a codec over age; closing it closes both.
type envelope struct {
	io.WriteCloser
	seal io.WriteCloser
}

func sealCodec(w io.Writer, c Codec, to age.Recipient, workers int) (*envelope, error) {
	seal, err := Seal(w, to)
	if err != nil {
		return nil, err
	}
	comp, err := NewWriter(seal, c, workers)
	if err != nil {
		return nil, err
	}
	return &envelope{comp, seal}, nil
}

func (s *envelope) Close() error {
	if err := s.WriteCloser.Close(); err != nil {
		return err
	}
	return s.seal.Close()
}

// opened reads a codec within age, and demands that both end together.
type opened struct {
	comp io.ReadCloser
	seal io.Reader
	err  error
}

func openCodec(r io.Reader, c Codec, ids ...age.Identity) (*opened, error) {
	seal, err := Unseal(r, ids...)
	if err != nil {
		return nil, err
	}
	comp, err := NewReader(seal, c)
	if err != nil {
		return nil, err
	}
	return &opened{comp: comp, seal: seal}, nil
}

// openFile opens a sealed file whose digest and size are known. A damaged
// header can look like one that was sealed to somebody else; to tell the two
// apart, the rest of the file is read and its digest checked.
func openFile(r io.Reader, f File, c Codec, key string) (*opened, error) {
	id, err := ParseIdentity(key)
	if err != nil {
		return nil, malformed("the key of %s is not one: %s", f.Digest.Short(), err)
	}
	in := Checked(r, f)
	u, err := openCodec(in, c, id)
	if errors.Is(err, site.WrongKey) {
		if _, worse := io.Copy(io.Discard, in); worse != nil {
			return nil, worse
		}
	}
	return u, err
}

func (u *opened) Close() error { return u.comp.Close() }

func (u *opened) Read(p []byte) (int, error) {
	if u.err != nil {
		return 0, u.err
	}
	n, err := u.comp.Read(p)
	if err == io.EOF {
		if worse := atEnd(u.seal, "the compressed data"); worse != nil {
			err = worse
		}
	}
	u.err = err
	return n, err
}

// atEnd returns nil if r has nothing left.
func atEnd(r io.Reader, what string) error {
	var one [1]byte
	switch _, err := io.ReadFull(r, one[:]); err {
	case io.EOF:
		return nil
	case nil:
		return malformed("something follows the end of %s", what)
	default:
		return err
	}
}

// capped refuses to read more than it was told, with a fault rather than a
// quiet end.
type capped struct {
	r    io.Reader
	left int64
	what string
	err  error
}

func (c *capped) Read(p []byte) (int, error) {
	if c.err != nil || len(p) == 0 {
		return 0, c.err
	}
	// One byte more than allowed tells an exact end from a file that goes on.
	if int64(len(p)) > c.left+1 {
		p = p[:c.left+1]
	}
	n, err := c.r.Read(p)
	if int64(n) > c.left {
		n, err = 0, beyond("%s is larger than the limit", c.what)
	}
	c.left -= int64(n)
	c.err = err
	return n, err
}

// Checked returns a reader of a file that is what f says: it returns io.EOF only
// after exactly f.Size bytes with the digest f.Digest, and a [site.Damaged] fault
// in its place otherwise. What comes before io.EOF is not proved yet.
func Checked(r io.Reader, f File) io.Reader { return &checked{in: NewSumReader(r), file: f} }

type checked struct {
	in   *SumReader
	file File
	err  error
}

func (c *checked) Read(p []byte) (int, error) {
	if c.err != nil || len(p) == 0 {
		return 0, c.err
	}
	// A file that goes on beyond its size is not read to its end.
	if left := c.file.Size - c.in.Size(); int64(len(p)) > left+1 {
		p = p[:left+1]
	}
	n, err := c.in.Read(p)
	switch {
	case c.in.Size() > c.file.Size:
		n, err = 0, site.Damaged.New("the file %s is longer than the %d bytes it should have", c.file.Digest.Short(), c.file.Size)
	case err == io.EOF && c.in.Size() < c.file.Size:
		err = site.Damaged.New("the file %s has only %d of its %d bytes", c.file.Digest.Short(), c.in.Size(), c.file.Size)
	case err == io.EOF && !c.in.Is(c.file.Digest, c.file.Size):
		err = site.Damaged.New("the file %s was changed: its digest is %s", c.file.Digest.Short(), c.in.Digest().Short())
	}
	c.err = err
	return n, err
}
