package block

import (
	"errors"
	"fmt"
	"io"
)

// A Part is the next part of a file: packed data that was read and can be opened
// by a worker, or a stream that has to be read to its end before the file goes
// on, or neither.
type Part struct {
	Packed []byte
	Plain  int                              // length of the content, in bytes
	Open   func(packed, plain []byte) error // fills plain, which has that length

	Stream io.Reader
}

// A Reader has the parts of a file opened by several workers and returns their
// content in order.
type Reader struct {
	next   func(spare []byte) (Part, error)
	queue  *Queue[opened]
	free   [][]byte  // buffers of content, to be used again
	spare  [][]byte  // buffers of packed data, to be used again
	cur    []byte    // content that was opened and not yet handed out
	whole  []byte    // the buffer that cur is the rest of
	stream io.Reader // comes after what is in the queue; until then no input is read
	ahead  error     // why no more input is read; due when the queue is empty
	err    error
}

// opened is a part that a worker is done with.
type opened struct {
	plain, packed []byte
	err           error
}

// NewReader returns a reader of the parts that next returns; it calls next only
// within Read. Next may put packed data into the buffer that it gets, or let it
// grow. It returns io.EOF at the right end of the file. An error of a part, or a
// panic while it is opened, comes after the content of the parts before it.
func NewReader(workers int, next func(spare []byte) (Part, error)) *Reader {
	return &Reader{next: next, queue: NewQueue[opened](workers)}
}

// Read returns content. Only io.EOF means that all is well; after an error the
// reader stays failed.
func (b *Reader) Read(p []byte) (int, error) {
	for b.err == nil && len(p) > 0 {
		if len(b.cur) > 0 {
			n := copy(p, b.cur)
			b.cur = b.cur[n:]
			return n, nil
		}
		n, err := b.advance(p)
		if b.err = err; n > 0 {
			return n, nil // an error waits for the next call
		}
	}
	return 0, b.err
}

// advance makes the next part the current one. Of a stream it reads into p, and
// returns how much.
func (b *Reader) advance(p []byte) (int, error) {
	if b.whole != nil {
		b.free, b.whole = append(b.free, b.whole), nil
	}
	for b.ahead == nil && b.stream == nil && !b.queue.Full() {
		b.ahead = b.lookAhead()
	}
	if b.queue.Len() > 0 {
		o := b.queue.Next()
		b.spare = append(b.spare, o.packed[:0])
		b.cur, b.whole = o.plain, o.plain
		return 0, o.err
	}
	if b.stream == nil {
		return 0, b.ahead
	}
	n, err := readStream(b.stream, p)
	if err == io.EOF {
		b.stream, err = nil, nil
	}
	return n, err
}

// lookAhead reads one part and gives it to the workers.
func (b *Reader) lookAhead() error {
	var spare []byte
	if n := len(b.spare); n > 0 {
		spare, b.spare = b.spare[n-1], b.spare[:n-1]
	}
	part, err := b.next(spare)
	if err != nil {
		return err
	}
	if part.Stream != nil || part.Open == nil {
		b.stream = part.Stream
		b.spare = append(b.spare, spare)
		return nil
	}
	plain := b.buffer(part.Plain)
	b.queue.Go(func() opened {
		if err := open(part, plain); err != nil {
			return opened{err: err}
		}
		return opened{plain: plain, packed: part.Packed}
	})
	return nil
}

// open calls the part's Open. What it decodes comes from strangers, so a panic
// is one more way to say that it is malformed.
func open(p Part, plain []byte) (err error) {
	defer recovered(&err)
	return p.Open(p.Packed, plain)
}

// readStream reads from a stream under the same rule.
func readStream(r io.Reader, p []byte) (n int, err error) {
	defer recovered(&err)
	return r.Read(p)
}

func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("the decoder failed: %v", r)
	}
}

// Close gives memory back; the reader cannot be used after it. It waits for
// parts that are being opened, and for nothing else.
func (b *Reader) Close() error {
	b.queue.Drain()
	b.free, b.spare, b.cur, b.whole, b.stream = nil, nil, nil, nil, nil
	b.err = errors.New("read from a closed reader")
	return nil
}

// buffer returns n bytes. Buffers that are too small are dropped.
func (b *Reader) buffer(n int) []byte {
	for len(b.free) > 0 {
		buf := b.free[len(b.free)-1]
		b.free = b.free[:len(b.free)-1]
		if cap(buf) >= n {
			return buf[:n]
		}
	}
	return make([]byte, n)
}
