package media

import (
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"fardel/media/internal/block"
)

// zstdWriter writes each block as a frame of its own. That costs less than one
// per cent of size against one long frame, and lets several cores work, here and
// where it is read. Incompressible blocks become frames that hold them as they
// are.
type zstdWriter struct {
	w      io.Writer
	blocks *block.Writer
	wrote  bool // at least one frame
}

func newZstdWriter(w io.Writer, workers int) (*zstdWriter, error) {
	workers = max(workers, 1)
	enc, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.SpeedDefault),
		zstd.WithWindowSize(block.Size),
		zstd.WithEncoderCRC(true),
		zstd.WithLowerEncoderMem(true),
		zstd.WithEncoderConcurrency(workers))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	z := &zstdWriter{w: w}
	pack := func(plain, spare []byte) block.Packed {
		if block.Incompressible(plain) {
			return block.Packed{Data: appendRawFrame(spare, plain)}
		}
		return block.Packed{Data: enc.EncodeAll(plain, spare)}
	}
	z.blocks = block.NewWriter(w, workers, pack, func(block.Packed) { z.wrote = true })
	return z, nil
}

func (z *zstdWriter) Write(p []byte) (int, error) { return z.blocks.Write(p) }

// Close writes what is left. An empty input becomes one empty frame.
func (z *zstdWriter) Close() error {
	err := z.blocks.Close()
	if err == nil && !z.wrote {
		_, err = z.w.Write(appendRawFrame(nil, nil))
		z.wrote = err == nil
	}
	return err
}
