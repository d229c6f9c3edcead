package xz

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/ulikunitz/xz/lzma"

	"fardel/media/internal/block"
)

// maxDict is the dictionary for compressed blocks, in bytes. A larger one makes
// the library slower, and the files no smaller to speak of.
const maxDict = 1 << 20

// minDict is the least dictionary of the format. Stored blocks need none.
const minDict = 4 << 10

// maxStored is the largest stored LZMA2 chunk.
const maxStored = 64 << 10

// A Writer compresses into one xz stream. Blocks are compressed in memory by
// several workers and written, in order, by whoever calls Write and Close.
type Writer struct {
	w       io.Writer
	blocks  *block.Writer
	records []byte // of the index
	count   uint64 // of the blocks
	started bool
	err     error
}

// NewWriter returns a writer onto w that compresses on up to workers cores. It
// holds up to workers+2 blocks of 4 MiB and what becomes of them.
func NewWriter(w io.Writer, workers int) *Writer {
	x := &Writer{w: w}
	x.blocks = block.NewWriter(w, workers, packBlock, x.record)
	return x
}

// record notes a block for the index.
func (x *Writer) record(p block.Packed) {
	x.records = binary.AppendUvarint(x.records, uint64(p.Note))
	x.records = binary.AppendUvarint(x.records, uint64(p.Plain))
	x.count++
}

// Write compresses p. What it returns can be the error of an earlier block.
func (x *Writer) Write(p []byte) (int, error) {
	if x.start(); x.err != nil {
		return 0, x.err
	}
	n, err := x.blocks.Write(p)
	x.err = err
	return n, err
}

// Close writes what is left, the index and the footer. It does not close the
// writer below. A writer that is given up needs no Close. Closing twice gives
// the same answer twice.
func (x *Writer) Close() error {
	if x.err == block.ErrClosed {
		return nil
	}
	x.start()
	if err := x.blocks.Close(); x.err == nil {
		x.err = err
	}
	if x.err == nil {
		_, x.err = x.w.Write(x.tail())
	}
	if x.err != nil {
		return x.err
	}
	x.err = block.ErrClosed
	return nil
}

// start writes the stream header, once.
func (x *Writer) start() {
	if x.err == nil && !x.started {
		x.started = true
		_, x.err = x.w.Write(appendStreamHeader(nil, checkCRC32))
	}
}

// tail returns the index and the footer.
func (x *Writer) tail() []byte {
	b := binary.AppendUvarint([]byte{0}, x.count)
	b = append(b, x.records...)
	b = append(b, make([]byte, padding(int64(len(b))))...)
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return appendStreamFooter(b, checkCRC32, int64(len(b)))
}

// packBlock makes a whole block of plain, which must not be empty, in the empty
// buffer spare.
func packBlock(plain, spare []byte) block.Packed {
	if !block.Incompressible(plain) {
		dict := dictFor(len(plain))
		packed, err := compress(plain, dict)
		if err != nil {
			return block.Packed{Err: err}
		}
		if len(packed) < storedSize(len(plain)) {
			return frameBlock(plain, packed, dict, spare)
		}
	}
	return frameBlock(plain, nil, minDict, spare)
}

// dictFor returns the dictionary for n bytes: a short body is not to cost the
// memory of a long one, on either side.
func dictFor(n int) int {
	dict := minDict
	for dict < n && dict < maxDict {
		dict *= 2
	}
	return dict
}

// frameBlock puts header, padding and check around the LZMA2 data. If packed is
// nil, plain is stored. The note is the length without padding, for the index.
func frameBlock(plain, packed []byte, dict int, spare []byte) block.Packed {
	size := len(packed)
	if packed == nil {
		size = storedSize(len(plain))
	}
	h := blockHeader{packed: int64(size), plain: int64(len(plain)), dict: lzma.EncodeDictCap(int64(dict))}
	b := h.append(slices.Grow(spare, size+64))
	if packed == nil {
		b = appendStored(b, plain)
	} else {
		b = append(b, packed...)
	}
	pad := padding(int64(len(b)))
	b = append(b, make([]byte, pad)...)
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(plain))
	return block.Packed{Data: b, Plain: len(plain), Note: int64(len(b) - pad)}
}

// compress returns plain as LZMA2 data. It goes to memory only, because the
// library's Close does not tell when a write failed.
func compress(plain []byte, dict int) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(len(plain)/3 + 512)
	w, err := lzma.Writer2Config{DictCap: dict}.NewWriter2(&out)
	if err != nil {
		return nil, fmt.Errorf("xz: %w", err)
	}
	if _, err := w.Write(plain); err != nil {
		return nil, fmt.Errorf("xz: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("xz: %w", err)
	}
	return out.Bytes(), nil
}

// storedSize returns the length of n stored bytes as LZMA2 data.
func storedSize(n int) int { return n + 3*((n+maxStored-1)/maxStored) + 1 }

// appendStored appends plain as LZMA2 data of stored chunks.
func appendStored(b, plain []byte) []byte {
	control := byte(1) // the first chunk resets the dictionary
	for len(plain) > 0 {
		n := min(len(plain), maxStored)
		b = append(b, control, byte((n-1)>>8), byte(n-1))
		b = append(b, plain[:n]...)
		plain, control = plain[n:], 2
	}
	return append(b, 0)
}
