package site

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestParcelNames(t *testing.T) {
	for text, want := range map[string]ParcelName{
		"HQ0-FLD-000001":           {"HQ0", "FLD", 1},
		"HQ0-FLD-000042":           {"HQ0", "FLD", 42},
		"HQ0-FLD-999999":           {"HQ0", "FLD", 999999},
		"HQ0-FLD-1000000":          {"HQ0", "FLD", 1000000},
		"HQ0-FLD-999999999999999":  {"HQ0", "FLD", 999999999999999},
		"HQ0-FLD-9007199254740992": {"HQ0", "FLD", MaxInt},
	} {
		if got := want.String(); got != text {
			t.Errorf("%+v is written as %s; want %s", want, got, text)
		}
		if n, err := ParseParcelName(text); err != nil || n != want {
			t.Errorf("%s: %+v, %v", text, n, err)
		}
		if n, err := ParseParcelName(strings.ToLower(text)); err != nil || n != want {
			t.Errorf("%s in lower case: %+v, %v", text, n, err)
		}
	}
}

func TestParseParcelNameRefuses(t *testing.T) {
	for _, in := range []string{
		"", "-", "--", "HQ0-FLD", "HQ0-FLD-", "HQ0-FLD-42", "HQ0-FLD-00042", "HQ0-FLD-0000042", "HQ0-FLD-000000",
		"HQ0-FLD-+00042", "HQ0-FLD--00042", "HQ0-FLD-0x0042", "HQ0-FLD-00004A", "HQ0-FLD-000042-1", "HQ0-FLD-000042 ",
		"HQ-FLD-000042", "HQ0-FLDX-000042", "HQ0_FLD_000042", "HQ0-ſEA-000042", "HQ0-FLD-٠٠٠٠٤٢",
		"HQ0-FLD-9007199254740993", "HQ0-FLD-9223372036854775807", "HQ0-FLD-9223372036854775808", "HQ0-FLD-99999999999999999999999",
	} {
		if n, err := ParseParcelName(in); n != (ParcelName{}) || !errors.Is(err, BadUsage) {
			t.Errorf("%q: %+v, %v", in, n, err)
		}
	}
}

func FuzzParseParcelName(f *testing.F) {
	f.Add("HQ0-FLD-000042")
	f.Add("hq0-fld-9007199254740992")
	f.Add("HQ0-FLD-0000042")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseParcelName(s)
		if err != nil {
			return
		}
		if n.Number < 1 || n.Number > MaxInt || !strings.EqualFold(n.String(), s) {
			t.Fatalf("%q came back as %s", s, n)
		}
	})
}

func TestPriorities(t *testing.T) {
	for p, rank := range map[Priority]int{PriorityHigh: 0, PriorityMedium: 1, PriorityLow: 2} {
		if !p.Valid() || p.Rank() != rank {
			t.Errorf("%s: valid %v, rank %d", p, p.Valid(), p.Rank())
		}
	}
	for _, p := range []Priority{"", "High", "urgent"} {
		if p.Valid() {
			t.Errorf("%q is taken for a priority", p)
		}
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1: "1 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB",
		1<<20 - 1: "1.0 MiB", 1000 << 10: "1.0 MiB", 999 << 10: "999.0 KiB", 1 << 20: "1.0 MiB",
		9771050598: "9.1 GiB", 1 << 40: "1.0 TiB", 1 << 53: "8.0 PiB", math.MaxInt64: "8192.0 PiB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("%d is written as %s; want %s", n, got, want)
		}
	}
}
