package site

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 987654321, time.FixedZone("", 3600))

// bodies holds one of each kind that has a body, every field set.
var bodies = map[Kind]any{
	KindEpoch: EpochBody{Position{1, 20, DigestOf([]byte("r"))}, strings.Repeat("0f", 16), "restored"},
	KindSite: SiteBody{"Field <1> & \"co\"\n", "HQ0", []Right{RightPublish, RightDecide}, []SiteKey{
		{1, "site+1", "dGxz", "age1x", &KeyEnd{true, Position{1, 2, DigestOf([]byte("d"))}, Position{}}},
		{2, "site+2", "dGxz", "age1y", nil},
	}, SiteActive},
	KindCheckpoint: CheckpointBody{Position{2, 9, DigestOf([]byte("c"))}},
	KindPackage: PackageBody{
		"Firefox", "153.0", "Mozilla", "de", "Ein Browser für alle", []string{"linux", "windows"}, "xz", PriorityHigh,
		[]Program{{"setup", `C:\setup.exe "/S"`, "setup -r", 120, []string{"HQ000002"}, map[string]string{"0": "success", "3010": "reboot"}}},
		3, DigestOf([]byte("m")), 4711, 241, MaxInt, 1, []string{"release+1"}, true,
	},
	KindDistribution: DistributionBody{map[Code]int64{"FLD": 1, "EU1": 0}},
	KindContent:      ContentBody{ContentInstalled, 3, 1, DigestOf([]byte("m"))},
	KindExport:       CrossingBody{"HQ0", "FLD", 42, DigestOf([]byte("l")), "ada", "stick 7", 3, 1 << 30, "written"},
	KindImport:       CrossingBody{"HQ0", "FLD", 42, DigestOf([]byte("l")), "bob", "", 3, 1 << 30, "applied"},
	KindEnrolment:    EnrolmentBody{"fardel card v1\n— x\n", "EU1"},
	KindAlarm:        AlarmBody{"FLD", "two histories"},
}

func mustLine(t testing.TB, kind Kind, id string, body any) []byte {
	t.Helper()
	e, err := NewEntry(noon, kind, id, body)
	if err != nil {
		t.Fatal(err)
	}
	line, err := e.Line()
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// bigLine is an entry of about 600 bytes.
func bigLine(t testing.TB) []byte { return mustLine(t, KindPackage, "HQ000001", bodies[KindPackage]) }

func TestEntriesRoundTrip(t *testing.T) {
	for kind, body := range bodies {
		line := mustLine(t, kind, "HQ0/x.1_2+3-4", body)
		e, err := ParseEntry(line)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if e.Kind != kind || e.ID != "HQ0/x.1_2+3-4" || e.Needs != 0 || !e.At.Equal(noon.Truncate(time.Second)) || e.At.Location() != time.UTC {
			t.Errorf("%s: %+v", kind, e)
		}
		again, err := e.Line()
		if err != nil || !bytes.Equal(again, line) {
			t.Errorf("%s: %s became %s, %v", kind, line, again, err)
		}
		out := reflect.New(reflect.TypeOf(body))
		if err := e.Decode(out.Interface()); err != nil || !reflect.DeepEqual(out.Elem().Interface(), body) {
			t.Errorf("%s: %+v became %+v, %v", kind, body, out.Elem(), err)
		}
	}
}

func TestEntryLineIsAsDocumented(t *testing.T) {
	e := Entry{At: noon, Kind: "future-kind", ID: "a", Needs: 2, Body: []byte(`{"b":1}`)}
	const want = `{"at":"2026-11-20T11:00:00Z","body":{"b":1},"id":"a","kind":"future-kind","needs":2}`
	line, err := e.Line()
	if err != nil || string(line) != want {
		t.Errorf("%s, %v", line, err)
	}
	back, err := ParseEntry(line)
	if err != nil || back.Needs != 2 {
		t.Errorf("%+v, %v", back, err)
	}
}

func TestParseEntryAccepts(t *testing.T) {
	const at = `{"at":"2026-11-20T11:00:00Z",`
	for name, line := range map[string]string{
		"empty body":    at + `"body":{},"id":"a","kind":"k"}`,
		"text as body":  at + `"body":"x","id":"a","kind":"k"}`,
		"null as body":  at + `"body":null,"id":"a","kind":"k"}`,
		"longest names": at + `"body":{},"id":"` + strings.Repeat("Z", 128) + `","kind":"` + strings.Repeat("z", 32) + `"}`,
		"needs much":    at + `"body":{},"id":"a","kind":"k","needs":9007199254740992}`,
		"deep body":     at + `"body":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `,"id":"a","kind":"k"}`,
	} {
		if _, err := ParseEntry([]byte(line)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseEntryRefuses(t *testing.T) {
	const at, tail = `{"at":"2026-11-20T11:00:00Z",`, `,"id":"a","kind":"k"}`
	const spelling, form, malformed = "fields are not spelled", "not in canonical form", "malformed kind, id or body"
	for name, c := range map[string]struct{ line, why string }{
		"nothing":            {``, form},
		"no object":          {`[]`, "cannot unmarshal"},
		"null":               {`null`, spelling},
		"space":              {at + ` "body":{}` + tail, form},
		"line end":           {at + `"body":{}` + tail + "\n", form},
		"two entries":        {at + `"body":{}` + tail + at + `"body":{}` + tail, form},
		"body out of order":  {`{"body":{},"at":"2026-11-20T11:00:00Z"` + tail, form},
		"body twice":         {at + `"body":{},"body":{}` + tail, form},
		"body not canonical": {at + `"body":{"a":1.0}` + tail, form},
		"body too deep":      {at + `"body":` + strings.Repeat("[", 17) + strings.Repeat("]", 17) + tail, form},
		"unknown field":      {at + `"body":{},"id":"a","kind":"k","more":1}`, `unknown field "more"`},
		"unknown, in front":  {`{"a":1,"at":"2026-11-20T11:00:00Z","body":{}` + tail, `unknown field "a"`},
		"field in capitals":  {`{"At":"2026-11-20T11:00:00Z","body":{}` + tail, spelling},
		"no at":              {`{"body":{}` + tail, spelling},
		"no body":            {`{"at":"2026-11-20T11:00:00Z"` + tail, spelling},
		"no id":              {at + `"body":{},"kind":"k"}`, spelling},
		"no kind":            {at + `"body":{},"id":"a"}`, spelling},
		"at null":            {`{"at":null,"body":{}` + tail, spelling},
		"time zone":          {`{"at":"2026-11-20T11:00:00+01:00","body":{}` + tail, "not a time"},
		"empty id":           {at + `"body":{},"id":"","kind":"k"}`, malformed},
		"id with a space":    {at + `"body":{},"id":"a b","kind":"k"}`, malformed},
		"id with a dot":      {at + `"body":{},"id":".a","kind":"k"}`, malformed},
		"id escaped":         {at + `"body":{},"id":"a\\b","kind":"k"}`, malformed},
		"id too long":        {at + `"body":{},"id":"` + strings.Repeat("Z", 129) + `","kind":"k"}`, malformed},
		"empty kind":         {at + `"body":{},"id":"a","kind":""}`, malformed},
		"kind in capitals":   {at + `"body":{},"id":"a","kind":"K"}`, malformed},
		"kind with a dash":   {at + `"body":{},"id":"a","kind":"-k"}`, malformed},
		"kind too long":      {at + `"body":{},"id":"a","kind":"` + strings.Repeat("z", 33) + `"}`, malformed},
		"needs nothing":      {at + `"body":{},"id":"a","kind":"k","needs":0}`, spelling},
		"needs less":         {at + `"body":{},"id":"a","kind":"k","needs":-1}`, malformed},
		"needs a text":       {at + `"body":{},"id":"a","kind":"k","needs":"1"}`, "cannot unmarshal"},
		"needs null":         {at + `"body":{},"id":"a","kind":"k","needs":null}`, spelling},
		"too large":          {at + `"body":"` + strings.Repeat("x", MaxEntry) + `"` + tail, "the limit is 16384"},
	} {
		e, err := ParseEntry([]byte(c.line))
		if err == nil || !strings.HasPrefix(err.Error(), "entry") || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v; want %q", name, err, c.why)
		}
		if !reflect.DeepEqual(e, Entry{}) {
			t.Errorf("%s: something came out: %+v", name, e)
		}
	}
}

func TestEntryLimitIsExact(t *testing.T) {
	line := []byte(`{"at":"2026-11-20T11:00:00Z","body":"","id":"a","kind":"k"}`)
	fill := bytes.Repeat([]byte("x"), MaxEntry-len(line))
	full := bytes.Replace(line, []byte(`""`), []byte(`"`+string(fill)+`"`), 1)
	if _, err := ParseEntry(full); err != nil || len(full) != MaxEntry {
		t.Errorf("%d bytes: %v", len(full), err)
	}
}

func TestLineRefusesWhatNobodyCouldRead(t *testing.T) {
	good := Entry{At: noon, Kind: "k", ID: "a", Body: []byte(`{}`)}
	for name, spoil := range map[string]func(e *Entry){
		"kind": func(e *Entry) { e.Kind = "K" },
		"id":   func(e *Entry) { e.ID = "a b" },
		"need": func(e *Entry) { e.Needs = -1 },
		"year": func(e *Entry) { e.At = time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC) },
		"body": func(e *Entry) { e.Body = []byte(`{`) },
		"size": func(e *Entry) { e.Body = []byte(`"` + strings.Repeat("x", MaxEntry) + `"`) },
	} {
		e := good
		spoil(&e)
		if line, err := e.Line(); err == nil {
			t.Errorf("%s: %s", name, line)
		}
	}
	if _, err := NewEntry(noon, "k", "a", 0.5); err == nil {
		t.Error("a fraction became a body")
	}
}

func TestDecodeNamesTheEntry(t *testing.T) {
	e := Entry{Kind: KindAlarm, ID: "7", Body: []byte(`{"about":"x","text":"y","zeal":1}`)}
	if err := e.Decode(new(AlarmBody)); err == nil || !strings.HasPrefix(err.Error(), "alarm 7: ") {
		t.Errorf("%v", err)
	}
}

// A reader may use its buffer again for the next line.
func TestParseEntryKeepsNothingOfTheLine(t *testing.T) {
	line := bigLine(t)
	e, err := ParseEntry(line)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Clone(line)
	clear(line)
	if got, err := e.Line(); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s, %v", got, err)
	}
}

func TestParseEntryAllocatesLittle(t *testing.T) {
	line := bigLine(t)
	if n := testing.AllocsPerRun(20, func() { ParseEntry(line) }); n >= 10 {
		t.Errorf("%v allocations", n)
	}
}

var (
	objectIDForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/+-]{0,127}$`)
	kindNameForm = regexp.MustCompile(`^[a-z][a-z-]{0,31}$`)
)

// readByTheBook is what ParseEntry has to agree with: format.md, section 2, in
// the words of encoding/json and regexp.
func readByTheBook(line []byte) (Entry, error) {
	again, err := recode(line)
	if err != nil || !bytes.Equal(again, line) || len(line) > MaxEntry {
		return Entry{}, errors.New("not canonical")
	}
	var l entryLine
	if err := DecodeCanonical(line, &l); err != nil {
		return Entry{}, err
	}
	at, err := time.Parse(TimeFormat, l.At)
	if err != nil || at.Format(TimeFormat) != l.At || l.Needs < 0 {
		return Entry{}, errors.New("time or needs")
	}
	if !kindNameForm.MatchString(string(l.Kind)) || !objectIDForm.MatchString(l.ID) {
		return Entry{}, errors.New("kind or id")
	}
	return Entry{at.UTC(), l.Kind, l.ID, l.Needs, l.Body}, nil
}

func byTheBook(t *testing.T, line []byte) {
	t.Helper()
	got, err := ParseEntry(line)
	want, wantErr := readByTheBook(line)
	if (err == nil) != (wantErr == nil) || !reflect.DeepEqual(got, want) {
		t.Fatalf("%q is %+v, %v; should be %+v, %v", line, got, err, want, wantErr)
	}
	if err != nil {
		return
	}
	if again, err := got.Line(); err != nil || !bytes.Equal(again, line) {
		t.Fatalf("%q came back as %q, %v", line, again, err)
	}
}

// Every line that is one byte away from a good one.
func TestParseEntryByTheBook(t *testing.T) {
	const alphabet = "{}[]\":,\\u019-.e aZk_/+\n\x80"
	line := `{"at":"2026-11-20T11:00:00Z","body":{"b":1},"id":"a-1","kind":"k-k","needs":2}`
	for i := range len(line) + 1 {
		for _, c := range []byte(alphabet) {
			byTheBook(t, []byte(line[:i]+string([]byte{c})+line[i:]))
			byTheBook(t, []byte(line[:i]+string([]byte{c})+line[min(i+1, len(line)):]))
		}
		byTheBook(t, []byte(line[:i]))
		byTheBook(t, []byte(line[:i]+line[min(i+1, len(line)):]))
	}
}

func FuzzParseEntry(f *testing.F) {
	for kind, body := range bodies {
		f.Add(mustLine(f, kind, "x", body))
	}
	f.Add([]byte(`{"at":"2026-11-20T11:00:00Z","body":null,"id":"a","kind":"k","needs":1}`))
	f.Add([]byte(`{"at":"2026-11-20T11:00:00,5Z","body":[],"id":"a","kind":"k"}`))
	f.Add([]byte(`{"at":"2026-11-20T11:00:00Z","body":[],"id":"a","kind":"k","more":1}`))
	f.Fuzz(byTheBook)
}

func BenchmarkParseEntry(b *testing.B) {
	for _, size := range []int{200, 600, 4000} {
		text := strings.Repeat("Lines of a description. ", size/24)
		line := mustLine(b, KindPackage, "HQ000001", map[string]any{"description": text, "files": size, "name": "Firefox"})
		b.Run(fmt.Sprintf("text%d", size), func(b *testing.B) { parseAll(b, line) })
	}
	b.Run("package", func(b *testing.B) { parseAll(b, bigLine(b)) })
	b.Run("site", func(b *testing.B) { parseAll(b, mustLine(b, KindSite, "FLD", bodies[KindSite])) })
}

func parseAll(b *testing.B, line []byte) {
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseEntry(line); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeBody(b *testing.B) {
	e, err := ParseEntry(bigLine(b))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		var body PackageBody
		if err := e.Decode(&body); err != nil {
			b.Fatal(err)
		}
	}
}
