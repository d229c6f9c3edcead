package media

import (
	"errors"
	"fmt"
	"io"
	"runtime"

	"fardel/media/xz"
	"fardel/site"
)

// A Codec is a way to compress: one of those that bodies and labels name.
type Codec string

// The codecs. Incompressible data passes either at the speed of copying.
const (
	XZ   Codec = "xz"   // small, slow: parcel bodies, segments, slow links
	Zstd Codec = "zstd" // about fifteen times as fast, and a tenth larger: bundles
)

// Valid reports whether c is a codec that this version knows.
func (c Codec) Valid() bool { return c == XZ || c == Zstd }

// String returns the codec's name, as it stands on labels.
func (c Codec) String() string { return string(c) }

// Ext returns the codec's part of a file name: "xz" or "zst".
func (c Codec) Ext() string {
	if c == Zstd {
		return "zst"
	}
	return string(c)
}

// maxReaders bounds the decoders that run side by side, and with them memory.
const maxReaders = 4

// NewWriter returns a writer that compresses onto w, on up to workers cores. It
// holds about 12 MiB and another 12 MiB per worker. The file is whole only after
// Close, which does not close w. A writer that is given up needs no Close.
func NewWriter(w io.Writer, c Codec, workers int) (io.WriteCloser, error) {
	switch c {
	case XZ:
		return xz.NewWriter(w, workers), nil
	case Zstd:
		return newZstdWriter(w, workers)
	}
	return nil, unknownCodec(c)
}

// NewReader returns a reader of what [NewWriter] or a standard tool wrote. It
// refuses dictionaries above 64 MiB (xz) and windows above 8 MiB (zstd), and
// anything that follows the compressed data.
//
// It does not bound how much comes out: the caller knows the exact length and
// stops there. A zstd file that was cut between two of its frames is a shorter
// legal file, which the length tells as well.
//
// Faults are [site.Damaged]; errors of r itself come back as they are. Close
// does not close r; it gives memory back, and never waits for r. Reading from r
// is done within Read alone.
func NewReader(r io.Reader, c Codec) (io.ReadCloser, error) {
	src := &source{r: r}
	workers := min(runtime.GOMAXPROCS(0), maxReaders)
	var in io.ReadCloser
	switch c {
	case XZ:
		in = xz.NewReader(src, workers)
	case Zstd:
		var err error
		if in, err = newZstdReader(src, workers); err != nil {
			return nil, err
		}
	default:
		return nil, unknownCodec(c)
	}
	return &decoder{judged{r: in, src: src, fault: codecFault(c)}, in}, nil
}

// decoder is a judged reader with the Close of the one below.
type decoder struct {
	judged
	io.Closer
}

func codecFault(c Codec) func(error) *site.Fault {
	return func(err error) *site.Fault {
		if errors.Is(err, xz.ErrTooLarge) {
			err = fmt.Errorf("%w: %w", ErrLimit, err)
		}
		return site.Damaged.New("the %s data is damaged or incomplete", c).Because(err)
	}
}

func unknownCodec(c Codec) error {
	return site.TooNew.New("the codec %q is unknown here", clip(string(c))).
		In("Nothing was read or written").
		Then("upgrade fardel here, or ask the sender to use xz")
}
