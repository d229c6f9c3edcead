package media

import (
	"io"

	"fardel/site"
)

// A source remembers the error of the reader below it. A decoder that gets an
// I/O error may return any error of its own; to tell a person "the data is
// damaged" when a stick was unplugged would be wrong.
type source struct {
	r   io.Reader
	err error // the first error other than io.EOF
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF && s.err == nil {
		s.err = err
	}
	return n, err
}

// judge returns the error that a caller gets to see in place of err: that of the
// source if it had one, or the fault that the decoder's error means.
func (s *source) judge(err error, fault func(error) *site.Fault) error {
	if s.err != nil {
		return s.err
	}
	return fault(err)
}

// judged is a decoder whose errors are passed on as [source.judge] says. After
// an error it stays failed.
type judged struct {
	r     io.Reader
	src   *source
	fault func(error) *site.Fault
	err   error
}

func (j *judged) Read(p []byte) (int, error) {
	if j.err != nil {
		return 0, j.err
	}
	n, err := j.r.Read(p)
	if err != nil && err != io.EOF {
		err = j.src.judge(err, j.fault)
	}
	j.err = err
	return n, err
}

// noEOF turns the end of input into an error where more was expected.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
