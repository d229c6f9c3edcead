package xz

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"fardel/media/internal/block"
)

// A Reader decompresses .xz files. Blocks of up to 4 MiB are decoded in memory
// by several workers; their chunks name all sizes, so this works for files whose
// block headers do not. Larger blocks are decoded one at a time as they come.
//
// Whatever a file says, a Reader holds no more than 64 MiB of dictionary, and
// else what its workers need: about 12 MiB each.
type Reader struct {
	blocks *block.Reader
	in     *bufio.Reader

	streams int   // complete ones
	inside  bool  // between a stream's header and its footer
	check   check // of this stream
	tally   tally // of this stream's blocks
}

// NewReader returns a reader of r that decodes on up to workers cores. Reading
// from r is done within Read alone.
func NewReader(r io.Reader, workers int) *Reader {
	x := &Reader{in: bufio.NewReaderSize(r, 64<<10)}
	x.blocks = block.NewReader(workers, x.step)
	return x
}

// Read returns content whose checks were right, save for blocks above 4 MiB,
// whose check comes after them. io.EOF means that the file is legal up to its
// last byte.
func (x *Reader) Read(p []byte) (int, error) { return x.blocks.Read(p) }

// Close gives memory back; the reader cannot be used after it. It waits for
// blocks that are being decoded, and for nothing else.
func (x *Reader) Close() error { return x.blocks.Close() }

// step reads one part of the container: a stream header, a block, or an index
// with its footer. It returns io.EOF at the right end of the file.
func (x *Reader) step(spare []byte) (block.Part, error) {
	if !x.inside {
		return block.Part{}, x.startStream()
	}
	size, err := x.in.ReadByte()
	if err != nil {
		return block.Part{}, noEOF(err)
	}
	if size == 0 {
		return block.Part{}, x.endStream()
	}
	return x.startBlock(size, spare)
}

// startStream reads a stream header and the zeros that may stand between two
// streams. What follows the last stream is refused, zeros included.
func (x *Reader) startStream() error {
	padded := false
	for x.streams > 0 {
		head, err := x.in.Peek(4)
		if err != nil && err != io.EOF {
			return err
		}
		if len(head) == 0 && !padded {
			return io.EOF
		}
		if len(head) < 4 {
			return errors.New("xz: data after the end")
		}
		if binary.LittleEndian.Uint32(head) != 0 {
			break
		}
		padded = true
		x.in.Discard(4)
	}
	var b [streamHeaderSize]byte
	if _, err := io.ReadFull(x.in, b[:]); err != nil {
		return noEOF(err)
	}
	c, err := parseStreamHeader(b[:])
	if err != nil {
		return err
	}
	x.check, x.inside, x.tally = c, true, newTally()
	return nil
}

// endStream reads the index, whose first byte was read, and the footer.
func (x *Reader) endStream() error {
	size, err := x.tally.readIndex(x.in)
	if err != nil {
		return err
	}
	var b [streamHeaderSize]byte
	if _, err := io.ReadFull(x.in, b[:]); err != nil {
		return noEOF(err)
	}
	if err := checkStreamFooter(b[:], x.check, size); err != nil {
		return err
	}
	x.inside = false
	x.streams++
	return nil
}

// startBlock reads a block, whose first byte was read; of a big one it reads only
// the start.
func (x *Reader) startBlock(size byte, spare []byte) (block.Part, error) {
	header := make([]byte, (int(size)+1)*4)
	header[0] = size
	if _, err := io.ReadFull(x.in, header[1:]); err != nil {
		return block.Part{}, noEOF(err)
	}
	h, err := parseBlockHeader(header)
	if err != nil {
		return block.Part{}, err
	}
	c, err := scanChunks(x.in, spare)
	if err != nil {
		return block.Part{}, err
	}
	if !c.ended {
		big, err := x.newBigBlock(c.packed, h, len(header))
		return block.Part{Stream: big}, err
	}
	packed := int64(len(c.packed))
	if err := h.fits(packed, c.plain); err != nil {
		return block.Part{}, err
	}
	sum, err := readCheck(x.in, packed, x.check)
	if err != nil {
		return block.Part{}, err
	}
	x.tally.add(int64(len(header))+packed+int64(len(sum)), c.plain)
	kind := x.check
	return block.Part{Packed: c.packed, Plain: int(c.plain), Open: func(_, plain []byte) error {
		if err := c.decode(plain, h); err != nil {
			return err
		}
		return kind.demand(plain, sum)
	}}, nil
}

// fits compares what the header says with what was found.
func (h blockHeader) fits(packed, plain int64) error {
	if h.packed >= 0 && h.packed != packed || h.plain >= 0 && h.plain != plain {
		return fmt.Errorf("xz: block of %d and %d bytes is not as its header says", packed, plain)
	}
	return nil
}

// readCheck reads the padding of a block and its checksum.
func readCheck(r io.Reader, packed int64, c check) ([]byte, error) {
	pad := padding(packed)
	b := make([]byte, pad+c.size())
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, noEOF(err)
	}
	if !allZero(b[:pad]) {
		return nil, errors.New("xz: block: padding that is not zero")
	}
	return b[pad:], nil
}
