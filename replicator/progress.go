package replicator

import (
	"io"
	"sync"

	"fardel/site/host"
)

// A job counts the bytes of one long piece of work, from several goroutines, and
// tells how far it has come.
type job struct {
	name string
	tell host.Progress

	mu          sync.Mutex
	done, total int64
}

// begin starts the counting anew.
func (j *job) begin(total int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.done, j.total = 0, total
}

// add counts bytes, at most to the total.
func (j *job) add(n int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.to(j.done + n)
}

// reach counts up to a number of bytes, if it was less.
func (j *job) reach(n int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.to(max(j.done, n))
}

func (j *job) to(n int64) {
	if n = min(n, j.total); n != j.done {
		j.done = n
		j.tell(j.name, j.done, j.total)
	}
}

// reading counts what is read.
func (j *job) reading(r io.Reader) io.Reader { return &jobReader{r, j} }

type jobReader struct {
	r io.Reader
	j *job
}

func (r *jobReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.j.add(int64(n))
	return n, err
}
