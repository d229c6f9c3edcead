package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"

	"fardel/site"
)

// Config is what the administrator decided in the configuration file.
type Config struct {
	Receipts     string              // how receipts go back: medium, network, code or never
	Drop         []string            // folders in which parcels may lie, besides media
	Media        []string            // folders below which media are mounted
	LibraryRoots []string            // where content is kept; none: below the state folder
	Reserve      int64               // bytes of the disk that are left free
	CacheBudget  Budget              // for sealed bundles that are kept to be carried again
	Codec        string              // xz or zstd
	Routes       map[site.Code]Route // see Route

	lines map[string]int // where each setting stands in the file
}

// Route is what was decided about the way to one site.
type Route struct {
	Carry        string // what a parcel carries: all, lean or assumed
	AssumedAfter int64  // with assumed: arrival counts as certain after so many later parcels
	Baseline     int64  // a full parcel is made every so many parcels; 0: only on demand
	Codec        string // xz or zstd; empty: the site's
}

// A Budget is an amount of disk: a number of bytes, or a share of what is free.
type Budget struct {
	Bytes   int64
	Percent int64 // holds when Bytes is 0
}

// Of returns the budget on a disk with so many bytes free.
func (b Budget) Of(free int64) int64 {
	if b.Bytes > 0 {
		return b.Bytes
	}
	return free / 100 * b.Percent
}

// String returns the budget as it is written in the configuration.
func (b Budget) String() string {
	if b.Bytes == 0 {
		return fmt.Sprintf("%d%%", b.Percent)
	}
	return Bytes(b.Bytes)
}

func defaultConfig() Config {
	return Config{
		Receipts:    "medium",
		Media:       []string{"/media", "/run/media", "/mnt"},
		Reserve:     64 << 20,
		CacheBudget: Budget{Percent: 20},
		Codec:       "zstd",
		Routes:      map[site.Code]Route{},
	}
}

func defaultRoute() Route { return Route{Carry: "all", AssumedAfter: 3, Baseline: 10} }

// Route returns what holds for the way to a site.
func (c *Config) Route(code site.Code) Route {
	r, ok := c.Routes[code]
	if !ok {
		r = defaultRoute()
	}
	if r.Codec == "" {
		r.Codec = c.Codec
	}
	return r
}

// A setting is one key that the file may hold.
type setting[T any] struct {
	key, usage string
	set        func(to *T, v any) error
	get        func(of *T) string
}

var siteSettings = []setting[Config]{
	word("receipts", "how receipts go back: medium, network, code or never", func(c *Config) *string { return &c.Receipts },
		"medium", "network", "code", "never"),
	folders("drop", "folders in which parcels may lie, besides media", func(c *Config) *[]string { return &c.Drop }),
	folders("media", "folders below which media are mounted", func(c *Config) *[]string { return &c.Media }),
	folders("library_roots", "where content is kept (none: below the state folder)", func(c *Config) *[]string { return &c.LibraryRoots }),
	{"reserve", "how much of the disk is left free, such as \"64 MiB\"",
		func(c *Config, v any) (err error) { c.Reserve, err = sizeOf(v); return err },
		func(c *Config) string { return Bytes(c.Reserve) }},
	{"cache_budget", "for sealed bundles that may be carried again: a size, or a share of what is free, such as \"20%\"",
		func(c *Config, v any) (err error) { c.CacheBudget, err = budgetOf(v); return err },
		func(c *Config) string { return c.CacheBudget.String() }},
	word("codec", "how bundles are compressed: xz (smaller) or zstd (faster)", func(c *Config) *string { return &c.Codec }, "xz", "zstd"),
}

var routeSettings = []setting[Route]{
	word("carry", "what a parcel carries: all (what is not confirmed), lean (what was not carried yet) or assumed (no receipts come)",
		func(r *Route) *string { return &r.Carry }, "all", "lean", "assumed"),
	number("assumed_after", "with assumed: arrival counts as certain after so many later parcels", 1, func(r *Route) *int64 { return &r.AssumedAfter }),
	number("baseline", "a full parcel every so many parcels (0: only on demand)", 0, func(r *Route) *int64 { return &r.Baseline }),
	word("codec", "xz or zstd (none: the site's)", func(r *Route) *string { return &r.Codec }, "xz", "zstd"),
}

func word[T any](key, usage string, field func(*T) *string, words ...string) setting[T] {
	return setting[T]{key, usage,
		func(to *T, v any) error {
			s, ok := v.(string)
			if !ok || !slices.Contains(words, s) {
				err := fmt.Errorf("%s has to be %s", key, alternatives(quoted(words)))
				if near := closest(s, words); near != "" {
					return &nearMiss{err, fmt.Sprintf("%s = %q", key, near)}
				}
				return err
			}
			*field(to) = s
			return nil
		},
		func(of *T) string { return *field(of) }}
}

func number[T any](key, usage string, least int64, field func(*T) *int64) setting[T] {
	return setting[T]{key, usage,
		func(to *T, v any) error {
			n, ok := v.(int64)
			if !ok || n < least || n > 10000 {
				return fmt.Errorf("%s has to be a whole number from %d to 10000", key, least)
			}
			*field(to) = n
			return nil
		},
		func(of *T) string { return strconv.FormatInt(*field(of), 10) }}
}

func folders(key, usage string, field func(*Config) *[]string) setting[Config] {
	return setting[Config]{key, usage,
		func(c *Config, v any) error {
			list, ok := v.([]any)
			if !ok {
				return fmt.Errorf("%s has to be a list of folders, such as [\"/srv/drop\"]", key)
			}
			paths := []string{}
			for _, item := range list {
				s, ok := item.(string)
				if !ok || !filepath.IsAbs(s) {
					return fmt.Errorf("%s has to be a list of absolute paths; %q is none", key, clip(fmt.Sprint(item)))
				}
				paths = append(paths, filepath.Clean(s))
			}
			*field(c) = paths
			return nil
		},
		func(c *Config) string { return strings.Join(*field(c), ", ") }}
}

// nearMiss is a complaint that comes with the correction.
type nearMiss struct {
	error
	better string
}

func sizeOf(v any) (int64, error) {
	switch v := v.(type) {
	case int64:
		if v >= 0 {
			return v, nil
		}
	case string:
		if n, err := parseSize(v); err == nil {
			return n, nil
		}
	}
	return 0, errors.New("a size is a number of bytes, or text such as \"64 MiB\" or \"2 GiB\"")
}

func budgetOf(v any) (Budget, error) {
	if s, ok := v.(string); ok && strings.HasSuffix(s, "%") {
		n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(s, "%")), 10, 64)
		if err != nil || n < 1 || n > 90 {
			return Budget{}, errors.New("a share of the disk is between \"1%\" and \"90%\"")
		}
		return Budget{Percent: n}, nil
	}
	n, err := sizeOf(v)
	if err == nil && n == 0 {
		err = errors.New("a budget of nothing is too small; the least share is \"1%\"")
	}
	return Budget{Bytes: n}, err
}

// parseSize reads a size such as 4096, "64 MiB", "64M" or "2g", in bytes.
func parseSize(s string) (int64, error) {
	digits := strings.TrimRight(s, "kKmMgGtTiIbB ")
	unit := strings.ToLower(strings.TrimSpace(s[len(digits):]))
	n, err := strconv.ParseInt(digits, 10, 64)
	shift, ok := map[string]uint{
		"": 0, "b": 0, "k": 10, "kib": 10, "m": 20, "mib": 20, "g": 30, "gib": 30, "t": 40, "tib": 40,
	}[unit]
	if err != nil || !ok || n < 0 || n > 1<<53>>shift {
		return 0, fmt.Errorf("%q is not a size such as 64 MiB or 2 GiB", clip(s))
	}
	return n << shift, nil
}

// maxConfig bounds the file, in bytes.
const maxConfig = 1 << 20

// loadConfig reads the configuration. A file that is not there is no fault,
// unless somebody named it. Anything in it that is not understood is one: a
// misspelt setting must not silently leave the default in force.
func loadConfig(path string, named bool) (Config, error) {
	c := defaultConfig()
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return c, nil
	}
	if err != nil {
		return c, site.BadConfig.New("the configuration cannot be read: %s: %s", path, reason(err)).Because(err).
			In("Nothing was done.").Then("fardel config path    shows which file is read")
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil || len(text) > maxConfig {
		return c, site.BadConfig.New("%s cannot be read, or is larger than 1 MiB", path).Because(err).In("Nothing was done.")
	}
	return c, c.parse(path, string(text))
}

// parse takes over what the text says. The path is for complaints only.
func (c *Config) parse(path, text string) error {
	var doc map[string]any
	if _, err := toml.Decode(text, &doc); err != nil {
		var syntax toml.ParseError
		if errors.As(err, &syntax) {
			return site.BadConfig.New("%s:%d: %s", path, syntax.Position.Line, syntax.Message).Because(err).
				In("Nothing was done.").Then("correct line %d and run fardel config check", syntax.Position.Line)
		}
		return site.BadConfig.New("%s: %s", path, err).Because(err).In("Nothing was done.")
	}
	c.lines = locate(text)
	var wrong complaints
	for key, v := range doc {
		if key == "route" {
			c.parseRoutes(v, &wrong)
			continue
		}
		wrong.add(c.line(key), apply(siteSettings, c, key, v, "route"))
	}
	return wrong.fault(path)
}

func (c *Config) parseRoutes(v any, wrong *complaints) {
	routes, ok := v.(map[string]any)
	if !ok {
		wrong.add(c.line("route"), errors.New("route has to be a table such as [route.FLD]"))
		return
	}
	for name, v := range routes {
		line := c.line("route." + name)
		code := site.Code(name)
		body, ok := v.(map[string]any)
		if !code.Valid() || !ok {
			wrong.add(line, fmt.Errorf("a route is written [route.FLD], with the three characters of a site code; %q is none", clip(name)))
			continue
		}
		r := defaultRoute()
		for key, v := range body {
			wrong.add(c.line("route."+name+"."+key), apply(routeSettings, &r, key, v))
		}
		c.Routes[code] = r
	}
}

// apply sets one key; others are keys that stand elsewhere and may be suggested.
func apply[T any](settings []setting[T], to *T, key string, v any, others ...string) error {
	keys := slices.Clone(others)
	for _, s := range settings {
		if s.key == key {
			return s.set(to, v)
		}
		keys = append(keys, s.key)
	}
	err := fmt.Errorf("there is no setting %q", clip(key))
	if near := closest(key, keys); near != "" {
		return &nearMiss{err, near}
	}
	return err
}

// complaints gathers what is wrong with a file.
type complaints []complaint

type complaint struct {
	line int
	err  error
}

func (c *complaints) add(line int, err error) {
	if err != nil {
		*c = append(*c, complaint{line, err})
	}
}

// fault returns one fault about all complaints, or nil. The first line that is
// wrong is what happened.
func (c complaints) fault(path string) error {
	if len(c) == 0 {
		return nil
	}
	slices.SortFunc(c, func(a, b complaint) int {
		if a.line != b.line {
			return a.line - b.line
		}
		return strings.Compare(a.err.Error(), b.err.Error())
	})
	f := site.BadConfig.New("%s:%d: %s", path, c[0].line, c[0].err).In("Nothing was done.")
	for _, other := range c[1:] {
		f.State += fmt.Sprintf("\nLine %d: %s.", other.line, other.err)
	}
	for _, each := range c {
		if near, ok := errors.AsType[*nearMiss](each.err); ok {
			f.Then("line %d: did you mean %s?", each.line, near.better)
		}
	}
	return f.Then("fardel config show    lists the settings")
}

// locate returns the line of each key, for complaints: the parser does not tell
// for keys that are well formed. It knows headings and "key = value" lines,
// which is how such files are written; a key that it misses has line 0.
func locate(text string) map[string]int {
	lines := map[string]int{}
	prefix := ""
	note := func(key string, n int) {
		for i, r := range key + "." { // route.FLD.carry stands in route.FLD, and that in route
			if r == '.' && lines[key[:i]] == 0 {
				lines[key[:i]] = n
			}
		}
	}
	for i, l := range strings.Split(text, "\n") {
		l = strings.TrimSpace(l)
		if head, ok := strings.CutPrefix(l, "["); ok && !strings.Contains(l, "=") {
			head, _, _ = strings.Cut(head, "]")
			prefix = plainKey(head) + "."
			note(plainKey(head), i+1)
			continue
		}
		if key, _, ok := strings.Cut(l, "="); ok && !strings.HasPrefix(l, "#") {
			note(prefix+plainKey(key), i+1)
		}
	}
	return lines
}

// line returns the line of a key, or else of what it lies in.
func (c *Config) line(key string) int {
	for {
		i := strings.LastIndex(key, ".")
		if n := c.lines[key]; n > 0 || i < 0 {
			return n
		}
		key = key[:i]
	}
}

// plainKey drops spaces and quotes from a dotted key.
func plainKey(key string) string {
	return strings.NewReplacer(" ", "", "\t", "", `"`, "", "'", "").Replace(strings.Trim(key, "[] "))
}

func quoted(words []string) []string {
	var all []string
	for _, w := range words {
		all = append(all, strconv.Quote(w))
	}
	return all
}

// sortedRoutes returns the codes of all routes in order.
func (c *Config) sortedRoutes() []site.Code { return slices.Sorted(maps.Keys(c.Routes)) }
