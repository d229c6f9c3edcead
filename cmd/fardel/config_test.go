package main

import (
	"errors"
	"strings"
	"testing"

	"fardel/site"
)

func TestParseSize(t *testing.T) {
	for s, want := range map[string]int64{
		"0": 0, "4096": 4096, "64 MiB": 64 << 20, "64M": 64 << 20, "2g": 2 << 30, "1 TiB": 1 << 40, "7 b": 7, "1KiB": 1024,
	} {
		if got, err := parseSize(s); err != nil || got != want {
			t.Errorf("%q: got %d, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "MiB", "-1", "1.5 GiB", "1 MB", "64 MiBs", "9007199254740993", "99999999 TiB", "1 k k"} {
		if got, err := parseSize(s); err == nil {
			t.Errorf("%q: got %d, want an error", s, got)
		}
	}
}

func TestBudgetOf(t *testing.T) {
	if got := (Budget{Percent: 20}).Of(1000); got != 200 {
		t.Errorf("got %d", got)
	}
	if got := (Budget{Bytes: 5, Percent: 20}).Of(1000); got != 5 {
		t.Errorf("got %d", got)
	}
}

func TestRouteDefaults(t *testing.T) {
	c := defaultConfig()
	if err := c.parse("f", "codec = \"zstd\"\n[route.FLD]\ncarry = \"lean\"\n"); err != nil {
		t.Fatal(err)
	}
	if got, want := c.Route("FLD"), (Route{"lean", 3, 10, "zstd"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := c.Route("SEA"), (Route{"all", 3, 10, "zstd"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestConfigComplaints(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"an unknown key", "x = 1", `f:1: there is no setting "x"`},
		{"a key of a route at the top", "\ncarry = \"all\"", `f:2: there is no setting "carry"`},
		{"an unknown table", "[rout.FLD]\ncarry = \"all\"", `f:1: there is no setting "rout"`},
		{"a wrong type", "receipts = 1", `f:1: receipts has to be "medium", "network", "code" or "never"`},
		{"a list of numbers", "media = [1]", `f:1: media has to be a list of absolute paths; "1" is none`},
		{"no list", "drop = \"/srv\"", `f:1: drop has to be a list of folders, such as ["/srv/drop"]`},
		{"too large a number", "[route.FLD]\nbaseline = 10001", "f:2: baseline has to be a whole number from 0 to 10000"},
		{"too small a number", "[route.FLD]\nassumed_after = 0", "f:2: assumed_after has to be a whole number from 1 to 10000"},
		{"a fraction", "[route.FLD]\nbaseline = 1.5", "f:2: baseline has to be a whole number from 0 to 10000"},
		{"a share above all", "cache_budget = \"91%\"", `f:1: a share of the disk is between "1%" and "90%"`},
		{"no budget", "cache_budget = 0", `f:1: a budget of nothing is too small; the least share is "1%"`},
		{"a route that is no table", "route = 1", "f:1: route has to be a table such as [route.FLD]"},
		{"a code in lower case", "[route.fld]\ncarry = \"all\"", `f:1: a route is written [route.FLD], with the three characters of a site code; "fld" is none`},
		{"a dotted key", "route.FLD.carri = \"all\"", `f:1: there is no setting "carri"`},
		{"an inline table", "route = { FLD = { carri = 1 } }", `f:1: there is no setting "carri"`},
		{"a key twice", "codec = \"xz\"\ncodec = \"xz\"", "f:2: Key 'codec' has already been defined."},
		{"no TOML", "codec", "f:1: expected '.' or '=', but got '\\n' instead"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := defaultConfig()
			err := c.parse("f", tt.text+"\n")
			if !errors.Is(err, site.BadConfig) {
				t.Fatalf("got %v", err)
			}
			if got := site.AsFault(err).What; got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func FuzzConfig(f *testing.F) {
	f.Add("receipts = \"code\"\ndrop = [\"/a\"]\n[route.FLD]\ncarry = \"lean\"\n")
	f.Add("route.FLD.baseline = 0x10\n\"co dec\" = ''\n")
	f.Add("[[route]]\n[route.\"a.b\"]\n")
	f.Add("media = [\n\"=\",\n]\n")
	f.Fuzz(func(t *testing.T, text string) {
		c := defaultConfig()
		if err := c.parse("f", text); err != nil {
			if !errors.Is(err, site.BadConfig) || strings.Contains(err.Error(), "f:-") {
				t.Fatalf("%v", err)
			}
			return
		}
		// What was taken can be shown, and every route is one.
		for _, s := range siteSettings {
			s.get(&c)
		}
		for code := range c.Routes {
			if !code.Valid() {
				t.Fatalf("took the route %q", code)
			}
		}
	})
}
