package block

import (
	"errors"
	"io"
	"slices"
)

// A Packed is a block as it goes into a file.
type Packed struct {
	Data  []byte
	Plain int   // length of the content, in bytes
	Note  int64 // whatever the codec wants to remember of the block
	Err   error
}

// A Writer cuts what is written to it into blocks, has them packed by several
// workers, and writes the results in order. It holds up to workers+2 blocks and
// what becomes of them.
type Writer struct {
	w     io.Writer
	pack  func(plain, spare []byte) Packed
	wrote func(Packed)
	queue *Queue[inHand]
	buf   []byte
	free  [][]byte // buffers of content, to be used again
	spare [][]byte // buffers of packed blocks, to be used again
	err   error
}

// inHand is a packed block and the buffer that its content was in.
type inHand struct {
	Packed
	plain []byte
}

// ErrClosed is what a write to a closed writer returns.
var ErrClosed = errors.New("write to a closed writer")

// NewWriter returns a writer onto w. Workers call pack, which gets 1 to [Size]
// bytes that it must not keep, and an empty buffer for what it makes of them.
// The owner of the writer calls wrote, in order, after each block that was
// written.
func NewWriter(w io.Writer, workers int, pack func(plain, spare []byte) Packed, wrote func(Packed)) *Writer {
	return &Writer{w: w, pack: pack, wrote: wrote, queue: NewQueue[inHand](workers)}
}

// Write takes p. What it returns can be the error of an earlier block.
func (b *Writer) Write(p []byte) (int, error) {
	done := 0
	for b.err == nil && done < len(p) {
		if b.buf == nil {
			b.buf = b.buffer()
		}
		n := copy(b.buf[len(b.buf):cap(b.buf)], p[done:])
		b.buf = b.buf[:len(b.buf)+n]
		done += n
		if len(b.buf) < cap(b.buf) {
			continue
		}
		if len(b.buf) < Size {
			b.buf = slices.Grow(b.buf, min(3*len(b.buf), Size-len(b.buf)))
			b.buf = b.buf[:len(b.buf):min(cap(b.buf), Size)]
			continue
		}
		b.give()
	}
	return done, b.err
}

// Close writes what is left. It does not close the writer below. Closing twice
// gives the same answer twice.
func (b *Writer) Close() error {
	if b.err == nil && len(b.buf) > 0 {
		b.give()
	}
	for b.queue.Len() > 0 {
		b.take()
	}
	b.free, b.spare = nil, nil
	if b.err == nil {
		b.err = ErrClosed
	}
	if b.err == ErrClosed {
		return nil
	}
	return b.err
}

// give hands the buffer to the workers.
func (b *Writer) give() {
	plain := b.buf
	b.buf = nil
	var spare []byte
	if n := len(b.spare); n > 0 {
		spare, b.spare = b.spare[n-1][:0], b.spare[:n-1]
	}
	b.queue.Go(func() inHand {
		p := b.pack(plain, spare)
		p.Plain = len(plain)
		return inHand{p, plain}
	})
	if b.queue.Full() {
		b.take()
	}
}

// take writes the oldest block, unless something failed before.
func (b *Writer) take() {
	p := b.queue.Next()
	b.free = append(b.free, p.plain[:0])
	if b.err == nil {
		b.err = p.Err
	}
	if b.err == nil {
		_, b.err = b.w.Write(p.Data)
	}
	if b.err == nil {
		b.wrote(p.Packed)
	}
	b.spare = append(b.spare, p.Data)
}

func (b *Writer) buffer() []byte {
	if n := len(b.free); n > 0 {
		buf := b.free[n-1]
		b.free = b.free[:n-1]
		return buf
	}
	if b.queue.Len() == 0 {
		return make([]byte, 0, 64<<10) // it grows: most bodies are small
	}
	return make([]byte, 0, Size)
}
