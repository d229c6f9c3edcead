package media

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// What is needed of the zstd format (RFC 8878) to find where frames end and to
// write data that does not compress.
const (
	zstdMagic     = 0xFD2FB528
	maxWindow     = 8 << 20   // the largest window that is read or written, in bytes
	maxFrameBlock = 128 << 10 // the largest block in a frame, in bytes

	// Flags of the frame header descriptor (RFC 8878, 3.1.1.1.1).
	frameSize4    = 2 << 6 // the content's size stands in four bytes
	frameSingle   = 1 << 5 // the window is the content; no window descriptor
	frameReserved = 1 << 3
	frameSum      = 1 << 2 // a checksum ends the frame
	frameDict     = 3      // a dictionary is needed
)

var errFrame = errors.New("zstd: malformed frame")

// appendRawFrame appends a frame that holds plain in raw blocks.
func appendRawFrame(out, plain []byte) []byte {
	blocks := max((len(plain)+maxFrameBlock-1)/maxFrameBlock, 1)
	out = slices.Grow(out, 4+1+4+3*blocks+len(plain)+4)
	out = binary.LittleEndian.AppendUint32(out, zstdMagic)
	out = append(out, frameSize4|frameSingle|frameSum)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(plain)))
	for rest := plain; blocks > 0; blocks-- {
		n := min(len(rest), maxFrameBlock)
		header := uint32(n) << 3 // type 0: raw
		if blocks == 1 {
			header |= 1 // the last one
		}
		out = append(out, byte(header), byte(header>>8), byte(header>>16))
		out = append(out, rest[:n]...)
		rest = rest[n:]
	}
	return binary.LittleEndian.AppendUint32(out, uint32(xxh64(plain)))
}

// A frame reads one frame, as it stands in the file, and ends where it ends.
type frame struct {
	in      *bufio.Reader
	content int64  // length of its content, or -1 if not stated
	sum     int    // length of the checksum at its end
	head    []byte // a header that was read and not yet handed out
	body    int    // bytes of a block or the checksum that follow the header
	last    bool   // the last block's header was read
	done    bool   // nothing follows body
}

// startFrame reads a frame's header. It returns io.EOF if there is no further
// frame, and refuses dictionaries, windows above the limit, and the skippable
// frames that hold data of other programs.
func startFrame(in *bufio.Reader) (*frame, error) {
	magic, err := in.Peek(4)
	if len(magic) == 0 || err != nil && err != io.EOF {
		return nil, err
	}
	if len(magic) < 4 || binary.LittleEndian.Uint32(magic) != zstdMagic {
		return nil, errors.New("zstd: this is not a zstd frame")
	}
	var b [18]byte // the longest header
	if _, err := io.ReadFull(in, b[:5]); err != nil {
		return nil, noEOF(err)
	}
	flags := b[4]
	if flags&frameReserved != 0 || flags&frameDict != 0 {
		return nil, errors.New("zstd: frame with unknown flags or a dictionary")
	}
	single := flags&frameSingle != 0
	window, size := 1, 1<<(flags>>6)
	if single {
		window = 0
	} else if flags>>6 == 0 {
		size = 0
	}
	head := b[:5+window+size]
	if _, err := io.ReadFull(in, head[5:]); err != nil {
		return nil, noEOF(err)
	}
	f := &frame{in: in, head: head, content: contentSize(head[5+window:])}
	if flags&frameSum != 0 {
		f.sum = 4
	}
	w := f.content
	if !single {
		w = windowSize(head[5])
	}
	if w < 0 || w > maxWindow {
		return nil, fmt.Errorf("zstd: window of %d KiB; the limit is %d", w>>10, maxWindow>>10)
	}
	return f, nil
}

// contentSize reads the field of 0, 1, 2, 4 or 8 bytes. Sizes that no frame can
// have come out negative, as if not stated.
func contentSize(b []byte) int64 {
	switch len(b) {
	case 0:
		return -1
	case 1:
		return int64(b[0])
	case 2:
		return int64(binary.LittleEndian.Uint16(b)) + 256
	case 4:
		return int64(binary.LittleEndian.Uint32(b))
	}
	return int64(binary.LittleEndian.Uint64(b))
}

// windowSize decodes a window descriptor (RFC 8878, 3.1.1.1.2).
func windowSize(b byte) int64 {
	base := int64(1) << (10 + b>>3)
	return base + base/8*int64(b&7)
}

// ended reports whether the whole frame was read.
func (f *frame) ended() bool { return f.done && f.body == 0 && len(f.head) == 0 }

// Read returns the frame's bytes, headers included.
func (f *frame) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(f.head) == 0 && f.body == 0 {
		if f.done {
			return 0, io.EOF
		}
		if err := f.advance(); err != nil {
			return 0, err
		}
	}
	if len(f.head) > 0 {
		n := copy(p, f.head)
		f.head = f.head[n:]
		return n, nil
	}
	n, err := f.in.Read(p[:min(len(p), f.body)])
	f.body -= n
	return n, noEOF(err)
}

// advance reads the next block's header, or turns to the checksum. At least one
// byte follows.
func (f *frame) advance() error {
	if f.last {
		f.done, f.body = true, f.sum
		return nil
	}
	b := make([]byte, 3)
	if _, err := io.ReadFull(f.in, b); err != nil {
		return noEOF(err)
	}
	size := int(b[0]) | int(b[1])<<8 | int(b[2])<<16
	f.last = size&1 != 0
	kind := size >> 1 & 3
	size >>= 3
	if size > maxFrameBlock || kind == 3 {
		return errFrame
	}
	if kind == 1 {
		size = 1 // one byte, repeated
	}
	f.head, f.body = b, size
	f.done = f.last && f.sum == 0
	return nil
}
