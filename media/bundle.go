package media

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"hash"
	"io"

	"filippo.io/age"

	"fardel/site"
)

var zeros [tarEnd]byte

// itemSet remembers items by 16 bytes of the digest of their names, so that a
// bundle of many items takes little memory. A sender who makes two names collide
// harms nobody: the bundle is refused.
type itemSet map[[16]byte]struct{}

// add returns an error if the item was there before, or is one too many.
func (s itemSet) add(it Item) error {
	sum := sha256.Sum256([]byte(it.Name()))
	key := [16]byte(sum[:16])
	if _, ok := s[key]; ok {
		return malformed("an item stands twice: %s %s", it.Kind, it.Digest.Short())
	}
	if len(s) == MaxItems {
		return beyond("more than %d items in a bundle", MaxItems)
	}
	s[key] = struct{}{}
	return nil
}

// A BundleWriter writes a bundle in one pass.
type BundleWriter struct {
	out   *envelope
	items itemSet
	proof *proof // nil: digests are compared while the files are read
	buf   []byte // between a file and the codec
	plain int64
	err   error
}

// NewBundleWriter returns a writer of a bundle onto w, compressed on up to
// workers cores and sealed to a key of its own. Put a [Sum] beside w to learn the
// digest and size of the file.
func NewBundleWriter(w io.Writer, c Codec, to age.Recipient, workers int) (*BundleWriter, error) {
	out, err := sealCodec(w, c, to, workers)
	if err != nil {
		return nil, err
	}
	return &BundleWriter{out: out, items: itemSet{}, buf: make([]byte, 128<<10)}, nil
}

// NewProvedBundle returns a writer of a bundle whose secret key is at hand. While
// the bundle is written it is also opened and read, and Close succeeds only if
// all of it came out again and each whole file has its digest. A wrong one shows
// there, or in an Add that comes later. Such a writer always needs its Close.
func NewProvedBundle(w io.Writer, c Codec, key string, to age.Recipient, workers int) (*BundleWriter, error) {
	id, err := ParseIdentity(key)
	if err != nil {
		return nil, err
	}
	p := startProof(c, id)
	b, err := NewBundleWriter(io.MultiWriter(w, p), c, to, workers)
	if err != nil {
		return nil, p.finish(0, err)
	}
	b.proof = p
	return b, nil
}

// Plain returns the length that the tar has if it is closed now, in bytes.
func (b *BundleWriter) Plain() int64 { return b.plain + tarEnd }

// Add writes an item of exactly it.Length bytes from r; for a whole file it also
// compares their digest. An item that would make the bundle too large, or that it
// holds already, is refused and leaves the bundle as it was ([ErrLimit] and
// [ErrMalformed]). After any other error the bundle cannot be completed.
func (b *BundleWriter) Add(it Item, r io.Reader) error {
	if b.err != nil {
		return b.err
	}
	if err := it.check(); err != nil {
		return malformed("bundle: %s", err)
	}
	if it.Length > maxTarItem || b.Plain()+tarBlock+it.Length+padding(it.Length) > MaxBundlePlain {
		return beyond("the bundle would have more than %d bytes before compression", int64(MaxBundlePlain))
	}
	if err := b.items.add(it); err != nil {
		return err
	}
	b.err = b.write(it, r)
	return b.err
}

func (b *BundleWriter) write(it Item, r io.Reader) error {
	h := it.header()
	if _, err := b.out.Write(h[:]); err != nil {
		return err
	}
	sum, data := sha256.New(), io.LimitReader(r, it.Length)
	check := it.Kind == Whole && b.proof == nil
	if check {
		data = io.TeeReader(data, sum)
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{b.out}, struct{ io.Reader }{data}, b.buf)
	if err != nil {
		return err
	}
	if n < it.Length {
		return site.Damaged.New("the file %s has only %d of %d bytes", it.Digest.Short(), n, it.Length)
	}
	if _, err := io.ReadFull(r, make([]byte, 1)); err != io.EOF {
		return site.Damaged.New("the file %s has more than %d bytes", it.Digest.Short(), it.Length)
	}
	if check && site.Digest(sum.Sum(nil)) != it.Digest {
		return site.Damaged.New("the file %s was changed: its bytes have another digest", it.Digest.Short())
	}
	pad := padding(it.Length)
	if _, err := b.out.Write(zeros[:pad]); err != nil {
		return err
	}
	b.plain += tarBlock + it.Length + pad
	return nil
}

// Close completes the bundle and returns the exact length of its tar, which the
// body has to state. It does not close the writer below.
func (b *BundleWriter) Close() (plain int64, err error) {
	if b.proof != nil {
		defer func(p *proof) { err = p.finish(plain, err) }(b.proof)
		b.proof = nil
	}
	if b.err != nil {
		return 0, b.err
	}
	b.err = errors.New("bundle: closed")
	if _, err := b.out.Write(zeros[:]); err != nil {
		return 0, err
	}
	return b.Plain(), b.out.Close()
}

// A BundleReader reads a bundle in one pass, with memory that does not grow with
// the size of its files.
type BundleReader struct {
	in    *opened
	file  File
	plain int64 // what the parcel says the tar has
	open  bool  // nobody knows yet what it has; plain is the most
	trust bool  // see LeaveDigests
	pos   int64 // bytes of the tar that were read
	items itemSet
	cur   *itemReader
	err   error
}

// OpenBundle opens a bundle file. The label states the file and the codec, the
// body the key and the exact length of the tar. A file that cannot be unsealed
// is read to its end, to tell a wrong key from a damaged header.
func OpenBundle(r io.Reader, f File, c Codec, key string, plain int64) (*BundleReader, error) {
	if f.Size > MaxBundle || plain > MaxBundlePlain {
		return nil, beyond("bundle %s has %d bytes, %d unpacked; the limits are %d and %d",
			f.Digest.Short(), f.Size, plain, MaxBundle, int64(MaxBundlePlain))
	}
	if f.Size < 1 || plain < tarEnd || plain%tarBlock != 0 {
		return nil, malformed("bundle %s cannot have %d bytes, %d unpacked", f.Digest.Short(), f.Size, plain)
	}
	in, err := openFile(r, f, c, key)
	if err != nil {
		return nil, err
	}
	return &BundleReader{in: in, file: f, plain: plain, items: itemSet{}}, nil
}

// LeaveDigests says that the caller compares the digests of all files that it
// uses, as the door of the library does, so that they need not be hashed twice.
func (b *BundleReader) LeaveDigests() { b.trust = true }

// Close gives memory back early. It does not close the reader below.
func (b *BundleReader) Close() error { return b.in.Close() }

// Next returns the next item and a reader of its bytes, which is good until Next
// is called again. The reader of a whole file returns io.EOF only if the bytes
// have the file's digest. What is not read is read over, and checked all the
// same.
//
// Next returns io.EOF only after the end of the tar at the stated length, the end
// of the codec and of age, and the size and digest of the file were found right.
// Until then nothing that came out may become visible.
func (b *BundleReader) Next() (Item, io.Reader, error) {
	if b.err != nil {
		return Item{}, nil, b.err
	}
	it, err := b.next()
	if err != nil {
		b.err = err
		return Item{}, nil, err
	}
	b.cur = &itemReader{b: b, it: it, left: it.Length}
	if it.Kind == Whole && !b.trust {
		b.cur.sum = sha256.New()
	}
	return it, b.cur, nil
}

func (b *BundleReader) next() (Item, error) {
	if err := b.finish(); err != nil {
		return Item{}, err
	}
	var h [tarBlock]byte
	if err := b.full(h[:]); err != nil {
		return Item{}, err
	}
	if bytes.Equal(h[:], zeros[:tarBlock]) {
		return Item{}, b.end()
	}
	it, err := parseHeader(&h)
	if err != nil {
		return Item{}, malformed("bundle %s holds %s", b.file.Digest.Short(), err)
	}
	if it.Length+padding(it.Length)+tarEnd > b.plain-b.pos {
		return Item{}, malformed("bundle %s is longer than its parcel says", b.file.Digest.Short())
	}
	return it, b.items.add(it)
}

// finish reads what is left of the current item, and the zeros behind it.
func (b *BundleReader) finish() error {
	if b.cur == nil {
		return nil
	}
	if _, err := io.Copy(io.Discard, b.cur); err != nil {
		return err
	}
	pad := make([]byte, padding(b.cur.it.Length))
	b.cur.b, b.cur = nil, nil
	return b.blank(pad)
}

// end is called after the first of the two blocks that end a tar.
func (b *BundleReader) end() error {
	if err := b.blank(make([]byte, tarBlock)); err != nil {
		return err
	}
	if b.pos != b.plain && !b.open {
		return malformed("bundle %s ends after %d bytes; its parcel says %d", b.file.Digest.Short(), b.pos, b.plain)
	}
	if err := atEnd(b.in, "the archive"); err != nil {
		return err
	}
	return io.EOF
}

// blank reads as many bytes as buf has, which must be zeros.
func (b *BundleReader) blank(buf []byte) error {
	if err := b.full(buf); err != nil {
		return err
	}
	if !bytes.Equal(buf, zeros[:len(buf)]) {
		return malformed("bundle %s holds something where zeros belong", b.file.Digest.Short())
	}
	return nil
}

func (b *BundleReader) full(buf []byte) error {
	if int64(len(buf)) > b.plain-b.pos {
		return malformed("bundle %s is longer than its parcel says", b.file.Digest.Short())
	}
	n, err := io.ReadFull(b.in, buf)
	b.pos += int64(n)
	return b.early(err)
}

// early turns the end of the data, where more was expected, into a fault. A
// medium's own error may look like one, so the data is asked itself.
func (b *BundleReader) early(err error) error {
	if err != nil && b.in.err == io.EOF {
		return malformed("bundle %s ends after %d bytes; its parcel says %d", b.file.Digest.Short(), b.pos, b.plain)
	}
	return err
}

// itemReader reads the bytes of one item.
type itemReader struct {
	b    *BundleReader // nil once Next has gone on
	it   Item
	left int64
	sum  hash.Hash // nil if nothing is compared
}

func (r *itemReader) Read(p []byte) (int, error) {
	switch {
	case r.b == nil:
		return 0, errors.New("bundle: read of an item after Next")
	case r.b.err != nil:
		return 0, r.b.err
	case r.left == 0:
		return 0, r.proved()
	case len(p) == 0:
		return 0, nil
	}
	n, err := r.b.in.Read(p[:min(int64(len(p)), r.left)])
	if r.sum != nil {
		r.sum.Write(p[:n])
	}
	r.left -= int64(n)
	r.b.pos += int64(n)
	if err == io.EOF && r.left == 0 {
		err = nil // whether the bundle may end here is for Next to say
	}
	r.b.err = r.b.early(err)
	return n, r.b.err
}

// proved returns io.EOF if the bytes are those that the item's name promises.
func (r *itemReader) proved() error {
	if r.sum != nil && site.Digest(r.sum.Sum(nil)) != r.it.Digest {
		r.b.err = malformed("bundle %s holds other bytes than those of the file %s", r.b.file.Digest.Short(), r.it.Digest.Short())
		return r.b.err
	}
	return io.EOF
}
