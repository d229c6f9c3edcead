// Package block holds what the two codecs of package media share: a queue that
// works on blocks side by side and hands them back in order, and a probe that
// tells incompressible blocks from others.
package block

// Size is the length of a block, in bytes: the unit of compression, of the
// decision whether to compress, and of work on several cores.
const Size = 4 << 20

// A Queue runs jobs side by side and returns their results in the order in which
// they were given. Jobs only compute; reading and writing stays with the one
// goroutine that owns the queue, so that no goroutine is ever left behind in a
// blocked read. The methods are for that goroutine alone.
type Queue[T any] struct {
	slots chan struct{} // one for each job that runs
	jobs  []chan T      // in order; each receives one result
}

// NewQueue returns a queue that runs up to workers jobs at once, at least one.
func NewQueue[T any](workers int) *Queue[T] {
	return &Queue[T]{slots: make(chan struct{}, max(workers, 1))}
}

// Go adds a job and starts it as soon as a worker is free.
func (q *Queue[T]) Go(job func() T) {
	done := make(chan T, 1)
	q.jobs = append(q.jobs, done)
	go func() {
		q.slots <- struct{}{}
		defer func() { <-q.slots }()
		done <- job()
	}()
}

// Len returns the number of jobs whose results have not been taken.
func (q *Queue[T]) Len() int { return len(q.jobs) }

// Full reports whether enough jobs are under way to keep all workers busy: one
// more than there are workers.
func (q *Queue[T]) Full() bool { return len(q.jobs) > cap(q.slots) }

// Next waits for the oldest job and returns its result. The queue must not be
// empty.
func (q *Queue[T]) Next() T {
	done := q.jobs[0]
	q.jobs = q.jobs[1:]
	return <-done
}

// Drain waits for all jobs and drops their results.
func (q *Queue[T]) Drain() {
	for q.Len() > 0 {
		q.Next()
	}
}
