package replicator

import (
	"bytes"
	"io"
	"sync"

	"fardel/media"
	"fardel/site/library"
)

// A crew takes the small files of a bundle into a batch side by side, while the
// next ones are being decoded: most of the time of a file goes into making it.
// Its methods are for one goroutine.
type crew struct {
	batch *library.Batch
	free  chan []byte // buffers; as many files are under way as there are
	group sync.WaitGroup

	mu  sync.Mutex
	err error // the first
}

// crewFile is the largest file that a crew takes, in bytes. What is larger
// passes through the library's own buffers.
const crewFile = 1 << 20

func newCrew(batch *library.Batch, workers int) *crew {
	c := &crew{batch: batch, free: make(chan []byte, workers+1)}
	for range cap(c.free) {
		c.free <- nil
	}
	return c
}

// receive takes one file. What it returns can be the error of an earlier one.
func (c *crew) receive(it media.Item, data io.Reader) error {
	if it.Length > crewFile {
		return c.batch.Receive(it.Digest, it.Size, data)
	}
	buf := <-c.free
	if int64(cap(buf)) < it.Length {
		buf = make([]byte, it.Length, max(it.Length, 64<<10))
	}
	buf = buf[:it.Length]
	if _, err := io.ReadFull(data, buf); err != nil {
		c.free <- buf
		return err
	}
	c.group.Go(func() {
		err := c.batch.Receive(it.Digest, it.Size, bytes.NewReader(buf))
		c.note(err)
		c.free <- buf
	})
	return c.first()
}

func (c *crew) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
}

func (c *crew) first() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// wait returns when nothing is under way, with the first error.
func (c *crew) wait() error {
	c.group.Wait()
	return c.first()
}
