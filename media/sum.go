package media

import (
	"crypto/sha256"
	"hash"
	"io"

	"fardel/site"
)

// A Sum is a writer that hashes and counts what is written to it. It never
// fails. Put it beside a file with [io.MultiWriter] to learn the digest and size
// under which the file goes onto the label.
//
// Much data is hashed in the background, so that whoever writes can go on with
// the next: hashing takes as long as sealing does, or a fast medium.
type Sum struct {
	h    hash.Hash
	n    int64
	buf  []byte      // not hashed yet
	busy chan []byte // gives back the buffer that is being hashed; nil if none is
}

// sumBuffer is how much is hashed at once, in bytes.
const sumBuffer = 256 << 10

// NewSum returns a Sum of nothing.
func NewSum() *Sum { return &Sum{h: sha256.New()} }

// Write adds p.
func (s *Sum) Write(p []byte) (int, error) {
	s.n += int64(len(p))
	for rest := p; len(rest) > 0; {
		n := min(len(rest), sumBuffer-len(s.buf))
		s.buf = append(s.buf, rest[:n]...)
		rest = rest[n:]
		if len(s.buf) == sumBuffer {
			s.pass()
		}
	}
	return len(p), nil
}

// pass hashes the buffer in the background, once the one before is done.
func (s *Sum) pass() {
	full, spare := s.buf, s.wait()
	busy := make(chan []byte, 1)
	go func() {
		s.h.Write(full)
		busy <- full[:0]
	}()
	s.buf, s.busy = spare, busy
}

// wait returns an empty buffer when nothing is being hashed any more.
func (s *Sum) wait() []byte {
	if s.busy == nil {
		return nil
	}
	defer func() { s.busy = nil }()
	return <-s.busy
}

// Digest returns the SHA-256 of what was written so far.
func (s *Sum) Digest() site.Digest {
	s.wait()
	s.h.Write(s.buf)
	s.buf = s.buf[:0]
	return site.Digest(s.h.Sum(nil))
}

// Size returns the number of bytes written so far.
func (s *Sum) Size() int64 { return s.n }

// Is reports whether what was written so far is exactly the file with this
// digest and size.
func (s *Sum) Is(d site.Digest, size int64) bool { return s.n == size && s.Digest() == d }

// A SumReader hashes and counts what is read through it, so that a file can be
// checked while it is used, in one pass over a slow medium.
type SumReader struct {
	r   io.Reader
	sum *Sum
}

// NewSumReader returns a SumReader that reads from r.
func NewSumReader(r io.Reader) *SumReader { return &SumReader{r, NewSum()} }

// Read reads from the reader below and adds what came.
func (s *SumReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.sum.Write(p[:n])
	return n, err
}

// Digest returns the SHA-256 of what was read so far.
func (s *SumReader) Digest() site.Digest { return s.sum.Digest() }

// Size returns the number of bytes read so far.
func (s *SumReader) Size() int64 { return s.sum.Size() }

// Is reports whether what was read so far is exactly the file with this digest
// and size.
func (s *SumReader) Is(d site.Digest, size int64) bool { return s.sum.Is(d, size) }
