package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Progress shows how far a long piece of work has come. It is safe for use by
// several goroutines. Lower layers get its methods as plain functions.
type Progress interface {
	// Phase begins a part of the work, and ends the one before. The total is in
	// bytes; 0 means that it is not known.
	Phase(name string, total int64)
	// Add counts bytes that were done.
	Add(n int64)
	// Done ends the phase.
	Done()
}

type progressMode int

const (
	noProgress    progressMode = iota
	plainProgress              // a line at every tenth, or after 30 seconds
	barProgress                // a bar that is drawn again and again
	jsonProgress               // the same lines as plain, as JSON
)

func progressModeOf(name string, terminal bool, term string) progressMode {
	switch {
	case name == "bar" || name == "auto" && terminal && term != "dumb":
		return barProgress
	case name == "plain" || name == "auto":
		return plainProgress
	case name == "json":
		return jsonProgress
	}
	return noProgress
}

const (
	patience  = time.Second            // work shorter than this is not shown
	redraw    = 200 * time.Millisecond // of a bar
	lineEvery = 30 * time.Second       // of lines
)

// meter is the one implementation of Progress. Add and the ticker both draw, so
// that a stalled device still shows how its rate falls.
type meter struct {
	w    io.Writer
	mode progressMode
	now  func() time.Time

	mu          sync.Mutex
	name        string
	total, done int64
	active      bool
	shown       bool // something of this phase was written
	drawn       bool // a bar stands on the current line
	began       time.Time
	last        time.Time // when something was written
	tenth       int64     // the last tenth that got a line
	stop        chan struct{}
}

func newMeter(w io.Writer, mode progressMode, now func() time.Time) *meter {
	return &meter{w: w, mode: mode, now: now}
}

func (m *meter) Phase(name string, total int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.end(true)
	m.name, m.total, m.done = name, total, 0
	m.active, m.shown, m.tenth = true, false, 0
	m.began = m.now()
	m.last = m.began
	if m.mode != noProgress && m.stop == nil {
		m.stop = make(chan struct{})
		go m.tick(m.stop)
	}
}

func (m *meter) Add(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += n
	m.show()
}

func (m *meter) Done() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.end(true)
}

// close ends the display; a bar that did not come to its end is wiped, because
// an error's words follow.
func (m *meter) close(complete bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.end(complete)
	if m.stop != nil {
		close(m.stop)
		m.stop = nil
	}
}

// interrupt writes something else to stderr, above the bar.
func (m *meter) interrupt(write func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wipe()
	write()
}

func (m *meter) tick(stop chan struct{}) {
	t := time.NewTicker(redraw)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
			m.mu.Lock()
			if m.stop == stop {
				m.show()
			}
			m.mu.Unlock()
		}
	}
}

// show draws if it is time to. The caller holds the lock.
func (m *meter) show() {
	now := m.now()
	if !m.active || m.mode == noProgress || now.Sub(m.began) < patience {
		return
	}
	if m.mode == barProgress {
		if now.Sub(m.last) >= redraw || !m.shown {
			m.wipe()
			fmt.Fprint(m.w, m.bar(now))
			m.shown, m.drawn, m.last = true, true, now
		}
		return
	}
	tenth := int64(0)
	if m.total > 0 {
		tenth = min(10, m.done*10/m.total)
	}
	if tenth > m.tenth || now.Sub(m.last) >= lineEvery {
		m.tenth, m.last, m.shown = tenth, now, true
		m.line(now)
	}
}

// end closes the phase. A phase that was shown leaves its last state behind.
func (m *meter) end(complete bool) {
	if !m.active {
		return
	}
	m.active = false
	now := m.now()
	m.wipe()
	switch {
	case !m.shown || !complete:
	case m.mode == barProgress:
		fmt.Fprintln(m.w, m.bar(now))
	case m.tenth < 10 || m.total == 0:
		m.line(now)
	}
}

func (m *meter) wipe() {
	if m.drawn {
		fmt.Fprint(m.w, "\r\x1b[K")
		m.drawn = false
	}
}

// bar returns one line of at most 79 columns, which fits every terminal.
func (m *meter) bar(now time.Time) string {
	const cells = 20
	s := pad(cut(clean(m.name), 14), 14, false) + " "
	if m.total > 0 {
		share := float64(min(m.done, m.total)) / float64(m.total)
		full := int(share * cells)
		s += fmt.Sprintf("[%s%s] %3d%%  %s", strings.Repeat("#", full), strings.Repeat(".", cells-full), int(share*100), Bytes(m.done))
	} else {
		s += Bytes(m.done)
	}
	spent := now.Sub(m.began)
	if !m.active {
		return s + "  in " + Span(spent)
	}
	s += fmt.Sprintf("  %s/s", Bytes(m.rate(spent)))
	if left, ok := m.left(spent); ok {
		s += "  " + Span(left) + " left"
	}
	return s
}

func (m *meter) line(now time.Time) {
	spent := now.Sub(m.began)
	left, known := m.left(spent)
	if m.mode == jsonProgress {
		v := struct {
			Schema  string `json:"schema"`
			Kind    string `json:"kind"`
			Phase   string `json:"phase"`
			Done    int64  `json:"done"`
			Total   int64  `json:"total"`
			Seconds int64  `json:"seconds"`
		}{schema, "Progress", m.name, m.done, m.total, int64(spent / time.Second)}
		b, _ := json.Marshal(v) // strings and numbers always encode
		fmt.Fprintf(m.w, "%s\n", b)
		return
	}
	s := clean(m.name) + ": " + Bytes(m.done)
	if m.total > 0 {
		s += fmt.Sprintf(" of %s, %d%%", Bytes(m.total), min(100, m.done*100/m.total))
	}
	s += fmt.Sprintf(", %s/s", Bytes(m.rate(spent)))
	if m.active && known {
		s += ", " + Span(left) + " left"
	}
	fmt.Fprintln(m.w, s)
}

// rate returns bytes per second since the phase began.
func (m *meter) rate(spent time.Duration) int64 {
	if spent <= 0 {
		return 0
	}
	return int64(float64(m.done) / spent.Seconds())
}

// left returns how long the rest will take, as far as that can be told.
func (m *meter) left(spent time.Duration) (time.Duration, bool) {
	if m.total <= 0 || m.done <= 0 || m.done >= m.total {
		return 0, false
	}
	seconds := spent.Seconds() * float64(m.total-m.done) / float64(m.done)
	if seconds > 100*86400 {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}
