package xz

import (
	"bytes"
	"fmt"
	"hash"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// A bigBlock is decoded as it is read.
type bigBlock struct {
	x      *Reader
	header blockHeader
	size   int // of the header, in bytes
	packed counter
	lzma   *lzma.Reader2
	sum    hash.Hash
	plain  int64
}

// counter counts the LZMA2 data that the decoder takes. The decoder takes no
// byte after the end mark.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// newBigBlock starts a block of which the first part was read already.
func (x *Reader) newBigBlock(first []byte, h blockHeader, size int) (*bigBlock, error) {
	dict, err := h.dictCap()
	if err != nil {
		return nil, err
	}
	b := &bigBlock{x: x, header: h, size: size, sum: x.check.hash()}
	b.packed.r = io.MultiReader(bytes.NewReader(bytes.Clone(first)), x.in)
	b.lzma, err = lzma.Reader2Config{DictCap: int(dict)}.NewReader2(&b.packed)
	if err != nil {
		return nil, fmt.Errorf("xz: block: %w", err)
	}
	return b, nil
}

// Read returns content, and io.EOF when the block ended as it should.
func (b *bigBlock) Read(p []byte) (int, error) {
	n, err := b.lzma.Read(p)
	b.sum.Write(p[:n])
	b.plain += int64(n)
	if b.header.plain >= 0 && b.plain > b.header.plain {
		return 0, errChunk
	}
	if err == io.EOF {
		err = b.finish()
	}
	return n, err
}

// finish compares what the block said of itself with what was found, and
// returns io.EOF if all is well.
func (b *bigBlock) finish() error {
	if !b.lzma.EOS() {
		return errChunk
	}
	if err := b.header.fits(b.packed.n, b.plain); err != nil {
		return err
	}
	sum, err := readCheck(b.x.in, b.packed.n, b.x.check)
	if err != nil {
		return err
	}
	if err := b.x.check.compare(b.sum, sum); err != nil {
		return err
	}
	b.x.tally.add(int64(b.size)+b.packed.n+int64(len(sum)), b.plain)
	return io.EOF
}
