package tree

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"fardel/site"
)

var digest = site.DigestOf([]byte("content"))

// specimen holds what is difficult: order, escapes, notes.
func specimen() []Item {
	return []Item{
		{Type: Dir, Path: "a", Mode: 0o755},
		{Type: File, Path: "a.b", Mode: 0o4, Digest: digest, Size: 1 << 53},
		{Type: Link, Path: "a/\"l\"", Target: `..\x`},
		{Type: Dir, Path: "a/b", Mode: 0},
		{Type: Note, Path: "a/b", Note: "one"},
		{Type: Note, Path: "a/b", Note: "two"},
		{Type: File, Path: "a/b/\x01\u007f<é>\u2028", Mode: 0o777, Digest: digest},
		{Type: Note, Path: "gone", Note: "left out"},
	}
}

func manifest(t testing.TB, items []Item) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteManifest(&b, items); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func readAll(text []byte, max int64) ([]Item, error) {
	var out []Item
	for it, err := range ReadManifest(bytes.NewReader(text), max) {
		if err != nil {
			return out, err
		}
		out = append(out, it)
	}
	return out, nil
}

func TestManifestText(t *testing.T) {
	want := manifestHead + "\n" +
		"d 755 \"a\"\n" +
		"f 004 " + digest.String() + " 9007199254740992 \"a.b\"\n" +
		"l \"..\\\\x\" \"a/\\\"l\\\"\"\n" +
		"d 000 \"a/b\"\n" +
		"n \"one\" \"a/b\"\n" +
		"n \"two\" \"a/b\"\n" +
		"f 777 " + digest.String() + " 0 \"a/b/\\u0001\u007f<é>\u2028\"\n" +
		"n \"left out\" \"gone\"\n"
	got := manifest(t, specimen())
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	items, err := readAll(got, int64(len(got)))
	if err != nil || !slices.Equal(items, specimen()) {
		t.Errorf("read back %v, %v", items, err)
	}
	if items, err := readAll([]byte(manifestHead+"\n"), 100); err != nil || len(items) > 0 {
		t.Errorf("an empty package: %v, %v", items, err)
	}
}

func TestManifestRefuses(t *testing.T) {
	line := func(s string) string { return manifestHead + "\n" + s }
	f := func(mode, size, path string) string {
		return line("f " + mode + " " + digest.String() + " " + size + " " + path + "\n")
	}
	for name, text := range map[string]string{
		"nothing":            "",
		"no line end":        manifestHead,
		"other head":         "fardel manifest v2\n",
		"CRLF":               manifestHead + "\r\n",
		"cut off":            line(`d 755 "a"`),
		"empty line":         line("\n"),
		"unknown type":       line("x 755 \"a\"\n"),
		"no path":            line("d 755 \n"),
		"path not quoted":    line("d 755 a\n"),
		"something behind":   line("d 755 \"a\" \n"),
		"mode of two digits": line("d 75 \"a\"\n"),
		"mode of four":       line("d 4755 \"a\"\n"),
		"mode not octal":     line("d 758 \"a\"\n"),
		"size with zeros":    f("644", "01", `"a"`),
		"size with sign":     f("644", "+1", `"a"`),
		"size negative":      f("644", "-1", `"a"`),
		"size too big":       f("644", "9007199254740993", `"a"`),
		"digest upper case":  line("f 644 " + strings.ToUpper(digest.String()) + " 1 \"a\"\n"),
		"digest short":       line("f 644 abcd 1 \"a\"\n"),
		"needless escape":    line("d 755 \"\\u0061\"\n"),
		"upper-case escape":  line("d 755 \"\\u001F\"\n"),
		"short escape":       line("d 755 \"a\\n\"\n"),
		"slash escaped":      line("d 755 \"a\\/\"\n"),
		"bare control":       line("d 755 \"a\tb\"\n"),
		"not UTF-8":          line("d 755 \"a\xff\"\n"),
		"NUL":                line("d 755 \"a\\u0000\"\n"),
		"empty path":         line("d 755 \"\"\n"),
		"absolute":           line("d 755 \"/a\"\n"),
		"slash at the end":   line("d 755 \"a/\"\n"),
		"dot":                line("d 755 \".\"\n"),
		"dot dot":            line("d 755 \"..\"\n"),
		"dot dot inside":     line("d 755 \"a\"\nd 755 \"a/../b\"\n"),
		"empty element":      line("d 755 \"a\"\nd 755 \"a//b\"\n"),
		"long element":       line("d 755 \"" + strings.Repeat("x", 256) + "\"\n"),
		"long path":          line("d 755 \"" + strings.Repeat("x/", 2048) + "x\"\n"),
		"out of order":       line("d 755 \"b\"\nd 755 \"a\"\n"),
		"twice":              line("d 755 \"a\"\nd 755 \"a\"\n"),
		"note before":        line("n \"x\" \"a\"\nd 755 \"a\"\n"),
		"notes out of order": line("n \"x\" \"a\"\nn \"w\" \"a\"\n"),
		"note twice":         line("n \"x\" \"a\"\nn \"x\" \"a\"\n"),
		"note empty":         line("n \"\" \"a\"\n"),
		"target empty":       line("l \"\" \"a\"\n"),
		"target long":        line("l \"" + strings.Repeat("x", 4096) + "\" \"a\"\n"),
		"no parent":          line("d 755 \"a/b\"\n"),
		"parent is a file":   line("f 644 " + digest.String() + " 1 \"a\"\nd 755 \"a/b\"\n"),
		"parent is a link":   line("l \"b\" \"a\"\nd 755 \"a/b\"\n"),
		"parent is a note":   line("n \"b\" \"a\"\nd 755 \"a/b\"\n"),
		"parent of another":  line("d 755 \"a\"\nd 755 \"a.b\"\nd 755 \"a.c/d\"\n"),
		"endless line":       line("d 755 \"" + strings.Repeat("x", maxLine)),
	} {
		t.Run(name, func(t *testing.T) {
			if items, err := readAll([]byte(text), MaxManifest); err == nil {
				t.Errorf("read as %v", items)
			}
		})
	}
}

func TestManifestReaderKeepsItsLimit(t *testing.T) {
	text := manifest(t, specimen())
	if _, err := readAll(text, int64(len(text))-1); err == nil {
		t.Error("read more than it may")
	}
	broken := errors.New("disk")
	r := io.MultiReader(bytes.NewReader(text), iotest.ErrReader(broken))
	var last error
	for _, last = range ReadManifest(r, MaxManifest) {
		continue
	}
	if !errors.Is(last, broken) {
		t.Errorf("error %v", last)
	}
}

func TestWriteManifestRefuses(t *testing.T) {
	for name, it := range map[string]Item{
		"setuid":      {Type: File, Path: "a", Mode: fs.ModeSetuid | 0o755},
		"no type":     {Path: "a"},
		"outside":     {Type: Dir, Path: "../a"},
		"not UTF-8":   {Type: Note, Path: "a", Note: "\xff"},
		"size":        {Type: File, Path: "a", Size: -1},
		"no folder":   {Type: File, Path: "a/b"},
		"NUL in link": {Type: Link, Path: "a", Target: "x\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := WriteManifest(io.Discard, []Item{it}); err == nil {
				t.Error("written")
			}
		})
	}
}

// Texts are spelled as everywhere else.
func TestQuoteIsCanonical(t *testing.T) {
	for _, s := range []string{"", "a", `"\/`, "\x00\x1f\x20\x7f", "<&>", "é\u2028\u2029", "\U0001f600"} {
		want, err := site.Canonical(s)
		if err != nil {
			t.Fatal(err)
		}
		got := quote(nil, s)
		if string(got) != string(want) {
			t.Errorf("%q is spelled %s, want %s", s, got, want)
		}
		if back, rest, err := unquote(append(got, "rest"...)); err != nil || back != s || string(rest) != "rest" {
			t.Errorf("%q read back as %q, %q, %v", s, back, rest, err)
		}
	}
}

func FuzzManifest(f *testing.F) {
	f.Add(manifest(f, specimen()))
	f.Add([]byte(manifestHead + "\nd 755 \"a\"\nd 755 \"a/b\"\n"))
	f.Add([]byte(manifestHead + "\nn \"x\" \"a\"\nd 755 \"a\\u001f\"\n"))
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, text []byte) {
		items, err := readAll(text, 1<<20)
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := WriteManifest(&b, items); err != nil || !bytes.Equal(b.Bytes(), text) {
			t.Errorf("%q was read, but is written as %q, %v", text, b.Bytes(), err)
		}
		for _, it := range items {
			if !fs.ValidPath(it.Path) {
				t.Errorf("%q is no path", it.Path)
			}
			if s, _ := site.Canonical(it.Path); !site.IsCanonical(s) {
				t.Errorf("%q has no canonical spelling", it.Path)
			}
		}
	})
}
