package site

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
)

// canonicalTexts are texts that a reader has to accept.
var canonicalTexts = []string{
	`null`, `true`, `false`, `0`, `1`, `-1`, `10`, `9007199254740992`, `-9007199254740992`,
	`""`, `"a"`, `"\""`, `"\\"`, `"\u0000"`, `"\u000a"`, `"\u001f"`, "\"\x7f\"", `"/<>&'"`, "\"\u2028\u2029\"",
	`"é"`, `"日本"`, `"😀"`, "\"\ufffd\"", "\"\uffff\"", "\"\U0010ffff\"",
	`[]`, `{}`, `[1]`, `[[],{}]`, `[1,"a",null,true,false,[2],{"b":3}]`,
	`{"a":1}`, `{"":0,"a":1,"aa":2,"b":3}`, `{"A":1,"a":1}`, `{"a":{"b":1},"b":[{"a":1}]}`,
	`{"\u0001":1,"!":1,"\"":1,"#":1,"[":1,"\\":1,"]":1,"a":1}`, `{"é":1,"日":2,"😀":3}`,
	`{"a\u0001":1,"a\u0010":1,"a\"":1,"a\"b":1,"a\\":1}`,
	strings.Repeat("[", 17) + strings.Repeat("]", 17),
	strings.Repeat("[", 16) + "0" + strings.Repeat("]", 16),
	strings.Repeat(`{"a":`, 16) + "0" + strings.Repeat("}", 16),
}

// notCanonical are texts with one fault each.
var notCanonical = map[string]string{
	"nothing":                  ``,
	"space before":             ` 1`,
	"space behind":             `1 `,
	"line end behind":          "1\n",
	"space in array":           `[1, 2]`,
	"space in empty array":     `[ ]`,
	"space in object":          `{"a": 1}`,
	"space in empty object":    `{ }`,
	"byte order mark":          "\ufeff1",
	"two values":               `1 2`,
	"two objects":              `{}{}`,
	"brace behind":             `{}}`,
	"keys out of order":        `{"b":1,"a":1}`,
	"longer key first":         `{"aa":1,"a":1}`,
	"key twice":                `{"a":1,"a":1}`,
	"escaped key twice":        `{"\"":1,"\"":1}`,
	"key sorted as spelled":    `{"#":1,"\"":1}`,
	"backslash sorted late":    `{"]":1,"\\":1}`,
	"control sorted late":      `{"a":1,"\u0001":1}`,
	"key sorted by UTF-16":     "{\"\U00010000\":1,\"\uffff\":1}",
	"key is a number":          `{1:1}`,
	"key is nothing":           `{:1}`,
	"no value":                 `{"a":}`,
	"no colon":                 `{"a"1}`,
	"no comma in object":       `{"a":1"b":1}`,
	"no comma in array":        `[1""]`,
	"comma at the end":         `[1,]`,
	"comma at the end, object": `{"a":1,}`,
	"comma at the front":       `[,1]`,
	"array not closed":         `[1`,
	"object not closed":        `{"a":1`,
	"closed by the other":      `[1}`,
	"string not closed":        `"a`,
	"escape not closed":        `"\`,
	"ends in an escape":        `"\"`,
	"ends in a long escape":    `"\u00`,
	"minus nought":             `-0`,
	"leading nought":           `01`,
	"negative leading nought":  `-01`,
	"plus":                     `+1`,
	"minus alone":              `-`,
	"fraction":                 `1.0`,
	"exponent":                 `1e2`,
	"too large":                `9007199254740993`,
	"too small":                `-9007199254740993`,
	"far too large":            `18446744073709551617`,
	"hexadecimal":              `0x1`,
	"not a number":             `NaN`,
	"true in capitals":         `True`,
	"true too short":           `tru`,
	"escaped line end":         `"\n"`,
	"escaped tab":              `"\t"`,
	"escaped slash":            `"\/"`,
	"escaped letter":           `"\u0061"`,
	"escaped space":            `"\u0020"`,
	"escaped quotation mark":   `"\u0022"`,
	"escaped delete":           `"\u007f"`,
	"escaped accent":           `"\u00e9"`,
	"escaped surrogates":       `"\ud83d\ude00"`,
	"capital in escape":        `"\u001F"`,
	"capital U":                `"\U0001"`,
	"no hex in escape":         `"\u000g"`,
	"raw control character":    "\"\x01\"",
	"raw line end":             "\"\n\"",
	"stray byte":               "\"\xff\"",
	"cut character":            "\"\xc3\"",
	"overlong character":       "\"\xc0\xaf\"",
	"surrogate in UTF-8":       "\"\xed\xa0\x80\"",
	"beyond Unicode":           "\"\xf4\x90\x80\x80\"",
	"stray byte outside":       "[\xff]",
	"single quotation marks":   `'a'`,
	"comment":                  `1//`,
	"one too deep":             strings.Repeat("[", 17) + "0" + strings.Repeat("]", 17),
	"one object too deep":      strings.Repeat(`{"a":`, 17) + "0" + strings.Repeat("}", 17),
	"far too deep":             strings.Repeat("[", 1<<10),
}

func TestIsCanonical(t *testing.T) {
	for _, s := range canonicalTexts {
		if !IsCanonical([]byte(s)) {
			t.Errorf("%q was refused", s)
		}
	}
	for name, s := range notCanonical {
		if IsCanonical([]byte(s)) {
			t.Errorf("%s: %.60q was accepted", name, s)
		}
	}
}

// agree compares the scanner to the definition: a text is canonical if
// spelling it canonically changes nothing.
func agree(t *testing.T, b []byte) {
	t.Helper()
	again, err := recode(b)
	if want, got := err == nil && bytes.Equal(again, b), IsCanonical(b); got != want {
		t.Fatalf("%q: the scanner says %v, recode says %v (%q, %v)", b, got, want, again, err)
	}
}

func TestScannerAgreesOnTables(t *testing.T) {
	for _, s := range canonicalTexts {
		agree(t, []byte(s))
	}
	for _, s := range notCanonical {
		agree(t, []byte(s))
	}
}

// Every text that is one byte away from a canonical one.
func TestScannerAgreesOnEdits(t *testing.T) {
	const alphabet = "{}[]\":,\\ub019-.e afntr!#~/\x00\x1f\x7f\x80\xc3\xff"
	for _, s := range canonicalTexts {
		for i := range len(s) + 1 {
			for _, c := range []byte(alphabet) {
				agree(t, []byte(s[:i]+string([]byte{c})+s[i:]))
				if i < len(s) {
					agree(t, []byte(s[:i]+string([]byte{c})+s[i+1:]))
				}
			}
			agree(t, []byte(s[:i]))
			agree(t, []byte(s[i:]))
		}
	}
}

// Every text of up to four of these bytes.
func TestScannerAgreesOnShortTexts(t *testing.T) {
	const alphabet = "{}[]\":,\\01-. a"
	var grow func(b []byte)
	grow = func(b []byte) {
		agree(t, b)
		for i := 0; i < len(alphabet) && len(b) < 4; i++ {
			grow(append(b, alphabet[i]))
		}
	}
	grow(make([]byte, 0, 4))
}

// Whatever the escapes, two names are in order if what they mean is.
func TestScannerAgreesOnOrder(t *testing.T) {
	names := []string{"", "\x00", "\x01", "\x0f", "\x10", "\x1f", " ", "!", `"`, "#", "/", "0", "[", `\`, "]", "u", "é", "\U00010000"}
	for _, a := range names {
		for _, b := range names {
			for _, prefix := range []string{"", "x", `"`, `\`} {
				var buf bytes.Buffer
				buf.WriteByte('{')
				writeString(&buf, prefix+a)
				buf.WriteString(":1,")
				writeString(&buf, prefix+b)
				buf.WriteString(":1}")
				agree(t, buf.Bytes())
			}
		}
	}
}

func FuzzIsCanonical(f *testing.F) {
	for _, s := range canonicalTexts {
		f.Add([]byte(s))
	}
	for _, s := range notCanonical {
		f.Add([]byte(s))
	}
	f.Add(bigLine(f))
	f.Fuzz(agree)
}

// agreeOnSpelling compares the speller to recode, which may refuse more
// politely but never decide otherwise.
func agreeOnSpelling(t *testing.T, text []byte) {
	t.Helper()
	raw, err := json.Marshal(json.RawMessage(text))
	if err != nil {
		return
	}
	want, err := recode(raw)
	got, ok := spell(raw)
	if ok && (err != nil || !bytes.Equal(got, want)) {
		t.Fatalf("%q is spelled %q; should be %q, %v", raw, got, want, err)
	}
	if !ok && err == nil {
		t.Fatalf("%q was given up; it is spelled %q", raw, want)
	}
}

// spelledOtherwise are texts that can be spelled canonically, and are not.
var spelledOtherwise = []string{
	`{"b":1,"a":2}`, `{"c":{"b":[{"z":1,"y":"}"}],"a":","},"b":{},"a":"\""}`, `"\n\t\b\f\r\/\u0041\u2028\ud83d\ude00"`,
	`{"]":1,"\u005c":2,"[":3,"\u0022":4,"#":5,"!":6,"\n":7}`, `["<",">","&",{"<":1,"&":2}]`, `{"\ud800":1,"a":2}`,
	`{"z":0,"y":1,"x":2,"w":3,"v":4,"u":5,"t":6,"s":7,"r":8,"q":9,"p":10,"o":11,"n":12,"m":13,"l":14,"k":15,"j":16,"i":17,` +
		`"h":18,"g":19,"f":20,"e":21,"d":22,"c":23,"b":24,"a":25,"aa":26,"":27}`,
}

func TestSpellerAgrees(t *testing.T) {
	for _, s := range slices.Concat(canonicalTexts, spelledOtherwise, slices.Collect(maps.Values(notCanonical))) {
		agreeOnSpelling(t, []byte(s))
	}
	for _, s := range spelledOtherwise {
		for i := range len(s) + 1 {
			for _, c := range []byte("{}[]\":,\\ub0a\x80\xc3") {
				agreeOnSpelling(t, []byte(s[:i]+string([]byte{c})+s[i:]))
				agreeOnSpelling(t, []byte(s[:i]+string([]byte{c})+s[min(i+1, len(s)):]))
			}
		}
	}
}

func FuzzCanonical(f *testing.F) {
	for _, s := range slices.Concat(canonicalTexts, spelledOtherwise, slices.Collect(maps.Values(notCanonical))) {
		f.Add([]byte(s))
	}
	f.Fuzz(agreeOnSpelling)
}

func TestIsCanonicalAllocatesNothing(t *testing.T) {
	line := bigLine(t)
	if n := testing.AllocsPerRun(20, func() { IsCanonical(line) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCanonical(t *testing.T) {
	for _, c := range []struct {
		in   any
		want string
	}{
		{nil, `null`},
		{map[string]any{"b": 1, "a": []int{}}, `{"a":[],"b":1}`},
		{struct {
			Z int `json:"z"`
			A int `json:"a"`
		}{1, 2}, `{"a":2,"z":1}`},
		{"<a href='x'>&\u2028", "\"<a href='x'>&\u2028\""},
		{"a\n\t\b\x00\x7f", `"a\u000a\u0009\u0008\u0000` + "\x7f\""},
		{"\xff", "\"\ufffd\""},
		{1 << 53, `9007199254740992`},
		{2.0, `2`},
		{DigestOf([]byte("abc")), `"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"`},
	} {
		got, err := Canonical(c.in)
		if err != nil || string(got) != c.want {
			t.Errorf("%#v: %s, %v; want %s", c.in, got, err, c.want)
		}
		if !IsCanonical(got) {
			t.Errorf("%s is not canonical", got)
		}
	}
}

func TestCanonicalRefuses(t *testing.T) {
	deep := any(0)
	for range 17 {
		deep = []any{deep}
	}
	for name, v := range map[string]any{
		"fraction":  0.5,
		"infinity":  math.Inf(1),
		"too large": int64(1)<<53 + 1,
		"too small": -int64(1)<<53 - 1,
		"huge":      uint64(math.MaxUint64),
		"too deep":  deep,
		"channel":   make(chan int),
		"key twice": rawJSON(`{"a":1,"a":2}`),
		"not JSON":  rawJSON(`{`),
	} {
		if b, err := Canonical(v); err == nil {
			t.Errorf("%s: %s", name, b)
		}
	}
}

type rawJSON string

func (r rawJSON) MarshalJSON() ([]byte, error) { return []byte(r), nil }

type sample struct {
	Zeal  string         `json:"zeal"`
	Count int64          `json:"count"`
	Note  string         `json:"note,omitempty"`
	Child *sample        `json:"child,omitempty"`
	Map   map[string]int `json:"map,omitempty"`
	Sum   Digest         `json:"sum"`
}

func TestDecodeCanonical(t *testing.T) {
	in := sample{"<\n>", -5, "é", &sample{Map: map[string]int{"b": 1, "a": 2}}, nil, DigestOf(nil)}
	text, err := Canonical(in)
	if err != nil {
		t.Fatal(err)
	}
	var out sample
	if err := DecodeCanonical(text, &out); err != nil {
		t.Fatal(err)
	}
	if again, _ := Canonical(out); !bytes.Equal(again, text) || out.Zeal != in.Zeal || out.Child.Map["a"] != 2 {
		t.Errorf("%s came back as %+v", text, out)
	}
}

func TestDecodeCanonicalRefuses(t *testing.T) {
	sum := `"sum":"` + DigestOf(nil).String() + `"`
	good := fmt.Sprintf(`{"count":1,%s,"zeal":"x"}`, sum)
	var s sample
	if err := DecodeCanonical([]byte(good), &s); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"nothing":          ``,
		"space":            good + " ",
		"unknown field":    `{"count":1,"more":1,` + sum + `,"zeal":"x"}`,
		"name in capitals": `{"Count":1,` + sum + `,"zeal":"x"}`,
		"unlike name":      `{"count":1,` + sum + `,"ſum":1,"zeal":"x"}`,
		"missing field":    `{` + sum + `,"zeal":"x"}`,
		"null for a text":  `{"count":1,` + sum + `,"zeal":null}`,
		"empty, not left":  `{"count":1,"note":"",` + sum + `,"zeal":"x"}`,
		"wrong type":       `{"count":"1",` + sum + `,"zeal":"x"}`,
		"bad digest":       `{"count":1,"sum":"","zeal":"x"}`,
		"array":            `[]`,
		"null":             `null`,
	} {
		var s sample
		if err := DecodeCanonical([]byte(text), &s); err == nil {
			t.Errorf("%s: %s was read as %+v", name, text, s)
		}
	}
}

func TestInRange(t *testing.T) {
	for n, want := range map[int64]bool{
		math.MinInt64: false, -1: false, 0: true, 1: true, MaxInt: true, MaxInt + 1: false, math.MaxInt64: false,
	} {
		if InRange(n) != want {
			t.Errorf("%d: %v", n, !want)
		}
	}
}
