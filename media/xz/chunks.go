package xz

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/ulikunitz/xz/lzma"

	"fardel/media/internal/block"
)

// maxPacked bounds the LZMA2 data of a block that is held in memory: that of a
// stored block, with room for writers that cut it into smaller chunks.
const maxPacked = block.Size + block.Size/16

// chunks is the LZMA2 data of a block, or its first part.
type chunks struct {
	packed []byte
	plain  int64 // length of its content
	stored bool  // nothing is compressed
	ended  bool  // the end mark was read
}

var errChunk = errors.New("xz: block: malformed LZMA2 chunk")

// scanChunks reads LZMA2 data up to its end mark, or until a block proves to be
// big. It only follows the chunks' headers, which name all lengths; memory grows
// with what was really read. The data goes into buf, which grows if it has to.
func scanChunks(r byteReader, buf []byte) (chunks, error) {
	c := chunks{packed: buf[:0], stored: true}
	for {
		control, err := r.ReadByte()
		if err != nil {
			return c, noEOF(err)
		}
		c.packed = append(c.packed, control)
		if control == 0 {
			c.ended = true
			return c, nil
		}
		var head [5]byte // what may follow the control byte: sizes and properties
		need := 2
		switch {
		case control >= 0xC0:
			need = 5
		case control >= 0x80:
			need = 4
		case control > 2:
			return c, errChunk
		}
		if _, err := io.ReadFull(r, head[:need]); err != nil {
			return c, noEOF(err)
		}
		c.packed = append(c.packed, head[:need]...)
		plain, packed := chunkSizes(control, head)
		c.stored = c.stored && control < 0x80
		c.plain += plain
		if c.plain > block.Size || len(c.packed)+packed > maxPacked {
			return c, nil
		}
		at := len(c.packed)
		c.packed = slices.Grow(c.packed, packed)[:at+packed] // 64 KiB at most
		if _, err := io.ReadFull(r, c.packed[at:]); err != nil {
			return c, noEOF(err)
		}
	}
}

// chunkSizes returns the length of a chunk's content and of the data after its
// header.
func chunkSizes(control byte, head [5]byte) (plain int64, packed int) {
	first := int(binary.BigEndian.Uint16(head[:])) + 1
	if control < 0x80 {
		return int64(first), first
	}
	return int64(control&0x1F)<<16 + int64(first), int(binary.BigEndian.Uint16(head[2:])) + 1
}

// decode fills out with the content. The dictionary needs not be larger than
// the content.
func (c chunks) decode(out []byte, h blockHeader) error {
	if c.stored {
		return c.unstore(out)
	}
	dict, err := h.dictCap()
	if err != nil {
		return err
	}
	in := bytes.NewReader(c.packed)
	dict = max(min(dict, int64(len(out))), lzma.MinDictCap)
	r, err := lzma.Reader2Config{DictCap: int(dict)}.NewReader2(in)
	if err != nil {
		return fmt.Errorf("xz: block: %w", err)
	}
	if _, err := io.ReadFull(r, out); err != nil {
		return fmt.Errorf("xz: block: %w", noEOF(err))
	}
	var more [1]byte
	if n, err := r.Read(more[:]); n != 0 || err != io.EOF || !r.EOS() || in.Len() != 0 {
		return errChunk
	}
	return nil
}

// unstore copies the content of stored chunks, which scanChunks found whole.
func (c chunks) unstore(out []byte) error {
	b := c.packed
	if b[0] == 2 {
		return errChunk // the first chunk has to reset the dictionary
	}
	for b[0] != 0 {
		n := int(binary.BigEndian.Uint16(b[1:])) + 1
		out = out[copy(out, b[3:3+n]):]
		b = b[3+n:]
	}
	return nil
}
