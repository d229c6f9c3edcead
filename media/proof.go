package media

import (
	"bufio"
	"errors"
	"io"

	"filippo.io/age"
)

// A proof opens a bundle while it is being written, in a goroutine of its own,
// and reads it to its end: what cannot be opened shall never be handed out, and
// to read the file again afterwards would take as long as writing it.
type proof struct {
	*bufio.Writer // takes the sealed bytes
	pipe          *io.PipeWriter
	done          chan error // the verdict, once
	plain         int64      // length of the tar, once the verdict is there
}

// proofBuffer is how far the writer and the proof can be apart, in bytes.
const proofBuffer = 1 << 20

func startProof(c Codec, id age.Identity) *proof {
	r, w := io.Pipe()
	p := &proof{Writer: bufio.NewWriterSize(w, proofBuffer), pipe: w, done: make(chan error, 1)}
	go func() {
		err := p.read(bufio.NewReaderSize(r, proofBuffer), c, id)
		r.CloseWithError(errors.Join(errors.New("the bundle cannot be opened again"), err)) // to whoever still writes
		p.done <- err
	}()
	return p
}

// read reads a whole bundle, of which digest and length are not known yet.
func (p *proof) read(r io.Reader, c Codec, id age.Identity) error {
	in, err := openCodec(r, c, id)
	if err != nil {
		return err
	}
	b := &BundleReader{in: in, plain: MaxBundlePlain, open: true, items: itemSet{}}
	defer b.Close()
	for err == nil {
		_, _, err = b.Next()
	}
	p.plain = b.pos
	if err == io.EOF {
		return nil
	}
	return err
}

// finish ends the input and returns the verdict on a bundle whose tar has this
// length. An error of the writer, if there is one, ends the proof as well.
func (p *proof) finish(plain int64, err error) error {
	if err == nil {
		err = p.Flush()
	}
	p.pipe.CloseWithError(err) // nil: the end
	verdict := <-p.done
	if verdict == nil && err == nil && p.plain != plain {
		verdict = malformed("the bundle has %d bytes in place of %d", p.plain, plain)
	}
	if verdict != nil {
		return verdict
	}
	return err
}
