package media

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/zstd"

	"fardel/media/internal/block"
)

// maxHeldFrame bounds a frame that is held in memory: one block of content,
// stored, with room for the headers of blocks much shorter than usual.
const maxHeldFrame = block.Size + block.Size/16

// zstdReader has frames of up to one block decoded by several workers. Larger
// frames, or those that do not state their size, are decoded as they come. The
// decoder gets to see one frame at a time, the ends of which were found by
// [frame], so that nothing between or behind frames goes unnoticed.
type zstdReader struct {
	*block.Reader
	in     *bufio.Reader
	frames int
	held   *zstd.Decoder // for frames in memory
	stream *zstd.Decoder // for others, once there is one
}

func newZstdReader(r io.Reader, workers int) (*zstdReader, error) {
	z := &zstdReader{in: bufio.NewReaderSize(r, 64<<10)}
	var err error
	z.held, err = zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(max(workers, 1)),
		zstd.WithDecoderLowmem(true),
		zstd.WithDecodeAllCapLimit(true),
		zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	z.Reader = block.NewReader(workers, z.next)
	return z, nil
}

// Close waits for frames that are being decoded, and gives memory back.
func (z *zstdReader) Close() error {
	err := z.Reader.Close()
	z.held.Close()
	if z.stream != nil {
		z.stream.Close()
	}
	return err
}

// next reads a frame, or the start of a large one.
func (z *zstdReader) next(spare []byte) (block.Part, error) {
	f, err := startFrame(z.in)
	if err != nil {
		if err == io.EOF && z.frames == 0 {
			err = io.ErrUnexpectedEOF // nothing at all is no zstd file
		}
		return block.Part{}, err
	}
	z.frames++
	if f.content < 0 || f.content > block.Size {
		return z.startStream(f)
	}
	packed, err := f.readAll(spare[:0], maxHeldFrame)
	if err != nil {
		return block.Part{}, err
	}
	return block.Part{Packed: packed, Plain: int(f.content), Open: z.open}, nil
}

// open decodes a whole frame into plain, which has the length that it states.
func (z *zstdReader) open(packed, plain []byte) error {
	out, err := z.held.DecodeAll(packed, plain[:0:len(plain)])
	if err != nil {
		return fmt.Errorf("zstd: %w", err)
	}
	if len(out) != len(plain) || len(out) > 0 && &out[0] != &plain[0] {
		return errors.New("zstd: frame of another length than it states")
	}
	return nil
}

// startStream decodes a frame as it comes, in the goroutine that reads.
func (z *zstdReader) startStream(f *frame) (block.Part, error) {
	// A decoder that has one goroutine reads ahead in none.
	var err error
	if z.stream == nil {
		z.stream, err = zstd.NewReader(f,
			zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow))
	} else {
		err = z.stream.Reset(f)
	}
	if err != nil {
		return block.Part{}, fmt.Errorf("zstd: %w", err)
	}
	return block.Part{Stream: &zstdStream{z.stream, f}}, nil
}

// zstdStream is a frame that is being decoded.
type zstdStream struct {
	dec   *zstd.Decoder
	frame *frame
}

// Read returns content, and io.EOF when decoder and frame ended together.
func (s *zstdStream) Read(p []byte) (int, error) {
	n, err := s.dec.Read(p)
	if err == io.EOF && !s.frame.ended() {
		return n, errFrame
	}
	return n, err
}

// readAll reads the rest of the frame into buf, which is made larger where it is
// too small for what the frame says that it holds.
func (f *frame) readAll(buf []byte, limit int) ([]byte, error) {
	if room := int(f.content + f.content/64 + 1<<10); cap(buf) < room {
		buf = make([]byte, 0, room)
	}
	for {
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, 64<<10)
		}
		n, err := f.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return nil, err
		}
		if len(buf) > limit {
			return nil, errFrame
		}
	}
}
