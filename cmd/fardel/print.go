package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// width is how many columns fardel uses, whatever the terminal has, so that
// texts look the same in a log, in a mail and on the phone.
const width = 100

// A Printer writes text for people. Whatever it is given, no control character
// reaches the terminal: names come from media and from other sites.
type Printer struct {
	w      *bufio.Writer
	colour bool
}

func newPrinter(w io.Writer, colour bool) *Printer {
	return &Printer{w: bufio.NewWriter(w), colour: colour}
}

func (p *Printer) flush() error { return p.w.Flush() }

// Colour travels within strings as characters that no text holds, and becomes
// escape sequences, or nothing, when it is written.
const (
	markGood    = '\uFDD0'
	markNotable = '\uFDD1'
	markBad     = '\uFDD2'
	markEnd     = '\uFDD3'
)

var escapes = map[rune]string{markGood: "\x1b[32m", markNotable: "\x1b[33m", markBad: "\x1b[31m", markEnd: "\x1b[0m"}

// Good marks text that tells of success. Colour is never the only sign.
func Good(s string) string { return string(markGood) + s + string(markEnd) }

// Notable marks text that somebody ought to read.
func Notable(s string) string { return string(markNotable) + s + string(markEnd) }

// Bad marks text that tells of failure.
func Bad(s string) string { return string(markBad) + s + string(markEnd) }

// Line writes one line as it is, without wrapping. Line("") leaves one empty.
func (p *Printer) Line(format string, args ...any) { p.put(fmt.Sprintf(format, args...)) }

// Para writes text, wrapped at 100 columns.
func (p *Printer) Para(format string, args ...any) {
	p.hang("", "", fmt.Sprintf(format, args...))
}

// Indented writes text, wrapped, behind a margin of two spaces.
func (p *Printer) Indented(format string, args ...any) {
	p.hang("  ", "  ", fmt.Sprintf(format, args...))
}

// Fields writes names and values in two columns. Values are wrapped; a row
// with an empty value is left out.
func (p *Printer) Fields(rows ...[2]string) {
	margin := 0
	for _, r := range rows {
		if r[1] != "" {
			margin = max(margin, columns(r[0]))
		}
	}
	for _, r := range rows {
		if r[1] != "" {
			p.hang("  "+pad(r[0], margin, false)+"   ", strings.Repeat(" ", margin+5), r[1])
		}
	}
}

// Table writes rows below a heading. A heading that begins with > is of a
// column of numbers, which stand to the right. A table too wide for 100 columns
// has its widest cells cut.
func (p *Printer) Table(head []string, rows [][]string) {
	right := make([]bool, len(head))
	top := make([]string, len(head))
	for i, h := range head {
		top[i], right[i] = strings.CutPrefix(h, ">")
	}
	all := append([][]string{top}, rows...)
	widths := fit(all, len(head))
	for _, row := range all {
		var b strings.Builder
		for i, n := range widths {
			cell := ""
			if i < len(row) {
				cell = cut(row[i], n)
			}
			if i > 0 {
				b.WriteString("  ")
			}
			b.WriteString(pad(cell, n, right[i]))
		}
		p.put(strings.TrimRight(b.String(), " "))
	}
}

// fit returns the columns' widths, such that the whole is at most 100 wide.
func fit(rows [][]string, n int) []int {
	widths := make([]int, n)
	for _, row := range rows {
		for i := range min(n, len(row)) {
			widths[i] = max(widths[i], columns(row[i]))
		}
	}
	total := 2 * (n - 1)
	for _, w := range widths {
		total += w
	}
	for ; total > width; total-- {
		widest := 0
		for i, w := range widths {
			if w > widths[widest] {
				widest = i
			}
		}
		if widths[widest] <= 8 {
			break
		}
		widths[widest]--
	}
	return widths
}

// hang writes text behind a first margin, and its further lines behind another.
func (p *Printer) hang(first, other, text string) {
	margin := first
	for part := range strings.SplitSeq(text, "\n") {
		if columns(margin)+columns(part) <= width { // columns that were lined up stay so
			p.put(margin + strings.TrimRight(part, " "))
			margin = other
			continue
		}
		line, used := "", 0
		for word := range strings.FieldsSeq(part) {
			n := columns(word)
			if used > 0 && columns(margin)+used+1+n > width {
				p.put(margin + line)
				margin, line, used = other, "", 0
			}
			if used > 0 {
				line, used = line+" ", used+1
			}
			line, used = line+word, used+n
		}
		p.put(margin + line)
		margin = other
	}
}

// put writes lines, with nothing in them that a terminal would obey.
func (p *Printer) put(text string) {
	for _, r := range clean(text) {
		escape, mark := escapes[r]
		switch {
		case !mark:
			p.w.WriteRune(r)
		case p.colour:
			p.w.WriteString(escape)
		}
	}
	p.w.WriteByte('\n')
}

// clean replaces control characters, those that change the direction of
// writing, and bytes that are no text.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' {
			return r
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
			return utf8.RuneError
		}
		return r
	}, s)
}

// columns returns how many columns a text takes.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n += columnsOf(r)
	}
	return n
}

func columnsOf(r rune) int {
	switch {
	case r >= markGood && r <= markEnd || unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case r >= 0x1100 && (r <= 0x115F || r >= 0x2E80 && r <= 0xA4CF || r >= 0xAC00 && r <= 0xD7A3 ||
		r >= 0xF900 && r <= 0xFAFF || r >= 0xFE30 && r <= 0xFE6F || r >= 0xFF00 && r <= 0xFF60 ||
		r >= 0xFFE0 && r <= 0xFFE6 || r >= 0x1F300 && r <= 0x1FAFF || r >= 0x20000 && r <= 0x3FFFD):
		return 2
	}
	return 1
}

// cut shortens a cell to n columns.
func cut(s string, n int) string {
	if columns(s) <= n {
		return s
	}
	var b strings.Builder
	used, marked := 0, false
	for _, r := range s {
		if used+columnsOf(r) > n-3 {
			break
		}
		marked = r != markEnd && (marked || r >= markGood && r < markEnd)
		b.WriteRune(r)
		used += columnsOf(r)
	}
	b.WriteString("...")
	if marked {
		b.WriteRune(markEnd)
	}
	return b.String()
}

func pad(s string, n int, right bool) string {
	space := strings.Repeat(" ", max(0, n-columns(s)))
	if right {
		return space + s
	}
	return s + space
}

// Bytes writes a size, such as "9.1 GiB".
func Bytes(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n)/1024, 0
	for v >= 1023.95 && unit < 5 { // what would be rounded to 1024.0
		v, unit = v/1024, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", v, "KMGTPE"[unit])
}

// Count writes a number with its noun, such as "1 file" or "214 files".
func Count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if noun == "medium" {
		return fmt.Sprintf("%d media", n)
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok {
		noun = stem + "ie"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// When writes a time to the minute, in UTC; "-" for none.
func When(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04")
}

// Span writes a length of time in its two largest units, such as "4 min 2 s".
func Span(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%d min %d s", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%d h %d min", s/3600, s/60%60)
	}
	return fmt.Sprintf("%d d %d h", s/86400, s/3600%24)
}

// Ago writes how long before now a time was, such as "9d ago".
func Ago(now, t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	d := now.Sub(t)
	switch {
	case d < 0:
		return "in future"
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", d/time.Hour)
	}
	return fmt.Sprintf("%dd ago", d/(24*time.Hour))
}
