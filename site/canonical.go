package site

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Canonical returns the one legal spelling of v as JSON: keys sorted by their
// bytes, no white space, no floating-point numbers, integers within ±2⁵³, and
// no escapes but those that JSON demands. Whatever is hashed or signed as JSON
// is spelled like this, so that two programs cannot read one text differently.
func Canonical(v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if text, ok := spell(raw); ok {
		return text, nil
	}
	return recode(raw)
}

// IsCanonical reports whether b is the canonical spelling of some JSON value.
func IsCanonical(b []byte) bool {
	s := scanner{b: b}
	return s.value(0) && s.done()
}

// DecodeCanonical decodes b into v. It refuses b unless it is canonical, and
// unless every field in it is known to v and spelled as v spells it.
func DecodeCanonical(b []byte, v any) error {
	if !IsCanonical(b) {
		return errors.New("not in canonical form")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	// encoding/json matches names without regard to case; we do not.
	again, err := Canonical(v)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, b) {
		return errors.New("fields are not spelled as they must be")
	}
	return nil
}

// recode spells a JSON text canonically, or says why that cannot be. It is the
// definition of the canonical form; [scanner] and [speller] must agree with it.
func recode(raw []byte) ([]byte, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("not valid UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var buf bytes.Buffer
	if err := recodeValue(dec, &buf, 0); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("more than one JSON value")
	}
	return buf.Bytes(), nil
}

const maxDepth = 16

func recodeValue(dec *json.Decoder, buf *bytes.Buffer, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("nested more than %d deep", maxDepth)
	}
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	switch t := tok.(type) {
	case json.Delim:
		if t == '{' {
			return recodeObject(dec, buf, depth)
		}
		return recodeArray(dec, buf, depth)
	case string:
		writeString(buf, t)
	case json.Number:
		n, err := strconv.ParseInt(t.String(), 10, 64)
		if err != nil || n > 1<<53 || n < -(1<<53) || strconv.FormatInt(n, 10) != t.String() {
			return fmt.Errorf("%s is not an integer within 2^53", clip(t.String()))
		}
		buf.WriteString(t.String())
	case bool:
		buf.WriteString(strconv.FormatBool(t))
	case nil:
		buf.WriteString("null")
	}
	return nil
}

func recodeArray(dec *json.Decoder, buf *bytes.Buffer, depth int) error {
	buf.WriteByte('[')
	for first := true; dec.More(); first = false {
		if !first {
			buf.WriteByte(',')
		}
		if err := recodeValue(dec, buf, depth+1); err != nil {
			return err
		}
	}
	buf.WriteByte(']')
	_, err := dec.Token()
	return err
}

func recodeObject(dec *json.Decoder, buf *bytes.Buffer, depth int) error {
	type field struct {
		name string
		text []byte
	}
	var fields []field
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		var one bytes.Buffer
		if err := recodeValue(dec, &one, depth+1); err != nil {
			return err
		}
		fields = append(fields, field{name.(string), one.Bytes()})
	}
	if _, err := dec.Token(); err != nil {
		return err
	}
	slices.SortFunc(fields, func(a, b field) int { return strings.Compare(a.name, b.name) })
	buf.WriteByte('{')
	for i, f := range fields {
		if i > 0 {
			if fields[i-1].name == f.name {
				return fmt.Errorf("field %q stands twice", clip(f.name))
			}
			buf.WriteByte(',')
		}
		writeString(buf, f.name)
		buf.WriteByte(':')
		buf.Write(f.text)
	}
	buf.WriteByte('}')
	return nil
}

// writeString escapes the quotation mark, the backslash and the control
// characters, and nothing else.
func writeString(buf *bytes.Buffer, s string) {
	buf.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			buf.WriteByte('\\')
			buf.WriteRune(r)
		case r < 0x20:
			fmt.Fprintf(buf, `\u%04x`, r)
		default:
			buf.WriteRune(r)
		}
	}
	buf.WriteByte('"')
}

// MaxInt is the largest number that a canonical text may hold.
const MaxInt = int64(1) << 53

// InRange reports whether n is a size or a count: not negative, and small
// enough that no arithmetic on it overflows.
func InRange(n int64) bool { return n >= 0 && n <= MaxInt }
