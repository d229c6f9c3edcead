package journal

import (
	"slices"
	"strings"
	"testing"
)

type record struct {
	name   string
	number int64
	many   []string
	maybe  string
}

func readRecord(text string) (record, error) {
	f := ParseFields([]byte(text), "fardel test v1")
	r := record{name: f.One("name"), number: f.Number("number", 2), many: f.Many("many", 2)}
	r.maybe, _ = f.Maybe("maybe")
	return r, f.End()
}

func TestFields(t *testing.T) {
	r, err := readRecord("fardel test v1\nname a b\nnumber 2\nmany x\nmany y\nmaybe z\n")
	if err != nil || r.name != "a b" || r.number != 2 || !slices.Equal(r.many, []string{"x", "y"}) || r.maybe != "z" {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err = readRecord("fardel test v1\nname a\nnumber 2\n"); err != nil || r.many != nil || r.maybe != "" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestFieldsRefuse(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":             "",
		"another first line":  "fardel text v1\nname a\nnumber 2\n",
		"a first line alone":  "fardel test v1\n",
		"no last line end":    "fardel test v1\nname a\nnumber 2",
		"an empty line":       "fardel test v1\nname a\n\nnumber 2\n",
		"out of order":        "fardel test v1\nnumber 2\nname a\n",
		"missing":             "fardel test v1\nname a\n",
		"twice":               "fardel test v1\nname a\nname b\nnumber 2\n",
		"unknown":             "fardel test v1\nname a\nnumber 2\nother x\n",
		"no value":            "fardel test v1\nname \nnumber 2\n",
		"no space":            "fardel test v1\nname\nnumber 2\n",
		"another case":        "fardel test v1\nName a\nnumber 2\n",
		"a number too small":  "fardel test v1\nname a\nnumber 1\n",
		"not a number":        "fardel test v1\nname a\nnumber 2.0\n",
		"too many":            "fardel test v1\nname a\nnumber 2\nmany x\nmany y\nmany z\n",
		"a control character": "fardel test v1\nname a\x1b[2Jb\nnumber 2\n",
		"a bidi control":      "fardel test v1\nname a\u202eb\nnumber 2\n",
		"CRLF":                strings.ReplaceAll("fardel test v1\nname a\nnumber 2\n", "\n", "\r\n"),
		"invalid UTF-8":       "fardel test v1\nname \xff\nnumber 2\n",
	} {
		if r, err := readRecord(text); err == nil {
			t.Errorf("%s: read as %+v", name, r)
		}
	}
}
