package tree

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/BurntSushi/toml"

	"fardel/site"
)

// A Spec is what package.toml says: what the package is, and its programs.
type Spec struct {
	Name        string         `toml:"name"` // the folder's name, if not given
	Version     string         `toml:"version"`
	Vendor      string         `toml:"vendor"`
	Language    string         `toml:"language"`
	Description string         `toml:"description"`
	Platforms   []string       `toml:"platforms"` // such as linux or windows/amd64
	Programs    []site.Program `toml:"-"`
}

// specFile is the file as it is written; its tags are the keys that exist.
type specFile struct {
	Spec
	Program []specProgram `toml:"program"`
}

type specProgram struct {
	Name      string            `toml:"name"`
	Command   string            `toml:"command"`
	Uninstall string            `toml:"uninstall"`
	RunTime   *int64            `toml:"run_time"`
	DependsOn []string          `toml:"depends_on"`
	ExitCodes map[string]string `toml:"exit_codes"`
}

// Limits of package.toml, lengths in characters. Those of the texts are as old
// as the idea of a package; programs that list packages count on them.
const (
	maxSpec        = 64 << 10 // bytes
	maxName        = 50
	maxDescription = 128
	maxField       = 32
	maxCommand     = 2048
	maxPlatforms   = 16
	maxPrograms    = 64
	maxRunTime     = 30 * 24 * 60 // minutes
	maxCodes       = 64
	maxBody        = 14 << 10 // bytes of the entry that the spec becomes a part of
)

const defaultRunTime = 120 // minutes

// defaultCodes say how the exit codes that installers commonly use are meant. A
// code that stands in neither table is a failure.
var defaultCodes = map[string]string{
	"0": "success", "1707": "success", "3010": "reboot", "1641": "reboot", "1618": "retry",
}

// ReadSpec reads package.toml at the top of the folder. Without that file the
// package has the folder's name and no program. A wrong file gives a fault of
// class [site.BadPackage] that names the line.
func ReadSpec(dir string) (Spec, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return Spec{}, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Spec{}, openFault(err, dir)
	}
	defer root.Close()
	info, err := root.Lstat(SpecName)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.IsDir() {
		return ParseSpec(nil, filepath.Base(path))
	}
	if err != nil {
		return Spec{}, readFault(err, SpecName)
	}
	if !info.Mode().IsRegular() {
		return Spec{}, site.BadPackage.New("%s is not a regular file", SpecName).
			Then("put the file itself there")
	}
	f, err := root.OpenFile(SpecName, os.O_RDONLY|noWait, 0)
	if err != nil {
		return Spec{}, readFault(err, SpecName)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSpec+1))
	if err != nil {
		return Spec{}, readFault(err, SpecName)
	}
	return ParseSpec(text, filepath.Base(path))
}

// ParseSpec reads the text of a package.toml. The name stands in for one that
// the text does not give.
func ParseSpec(text []byte, name string) (Spec, error) {
	c := &specCheck{}
	if len(text) > maxSpec {
		return Spec{}, site.BadPackage.New("%s is longer than %d KiB", SpecName, maxSpec>>10)
	}
	if i := bytes.IndexByte(text, 0); i >= 0 || !utf8.Valid(text) {
		return Spec{}, site.BadPackage.New("%s is not UTF-8 text", SpecName)
	}
	c.lines = locate(text)
	var file specFile
	meta, err := toml.Decode(string(text), &file)
	if err != nil {
		return Spec{}, syntaxFault(err)
	}
	for _, key := range meta.Keys() { // in the order of the file
		if !known(key) {
			return Spec{}, c.unknown(key)
		}
	}
	spec := file.Spec
	spec.Name = cmp.Or(spec.Name, name)
	c.spec(spec)
	if len(file.Program) > maxPrograms {
		c.fail("program", "there are more than %d programs", maxPrograms)
	}
	for i, p := range file.Program {
		spec.Programs = append(spec.Programs, c.program(i, p, file.Program))
	}
	if c.err == nil {
		c.size(spec)
	}
	if c.err != nil {
		return Spec{}, c.err
	}
	return spec, nil
}

// Fill puts what the spec says into the body of a package's entry. What the
// entry tells of the content is left as it is.
func (s Spec) Fill(b *site.PackageBody) {
	b.Name, b.Version, b.Vendor, b.Language = s.Name, s.Version, s.Vendor, s.Language
	b.Description, b.Platforms, b.Programs = s.Description, s.Platforms, s.Programs
}

// syntaxFault makes a complaint of the TOML parser ours.
func syntaxFault(err error) error {
	if p, ok := errors.AsType[toml.ParseError](err); ok {
		return complaint(p.Position.Line, strings.TrimSuffix(cmp.Or(p.Message, "the value does not fit"), ".")).Because(err)
	}
	if m := typeError.FindStringSubmatch(err.Error()); m != nil {
		line, _ := strconv.Atoi(m[1])
		return complaint(line, fmt.Sprintf("the value of %s does not fit: it is %s, and should be %s", clip(m[2]), kindName(m[3]), kindName(m[4]))).Because(err)
	}
	return complaint(0, "a value does not fit").Because(err)
}

// typeError is how the parser reports a value of the wrong type; it has no type
// for that.
var typeError = regexp.MustCompile(`^toml: line ([0-9]+) \(last key "(.*)"\): incompatible types: TOML value has type (\S+); destination has type (\S+)$`)

// kindName says in words what the parser's names of types mean.
func kindName(s string) string {
	switch {
	case strings.HasPrefix(s, "int"):
		return "a number"
	case s == "string":
		return "a text in quotation marks"
	case strings.HasPrefix(s, "[]") || s == "slice" || s == "array":
		return "a list"
	case strings.HasPrefix(s, "map") || s == "struct" || s == "table":
		return "a table"
	case s == "bool":
		return "true or false"
	}
	return "something else"
}

func complaint(line int, text string) *site.Fault {
	where := SpecName
	if line > 0 {
		where += ":" + strconv.Itoa(line)
	}
	return site.BadPackage.New("%s: %s", where, text).In("nothing was added")
}

// specCheck holds a spec to its limits and keeps the first complaint.
type specCheck struct {
	lines map[string]int
	err   error
}

// fail complains of a key, such as "program.0.name".
func (c *specCheck) fail(key, format string, args ...any) {
	if c.err != nil {
		return
	}
	line := 0
	for ; line == 0 && key != ""; key = key[:max(0, strings.LastIndexByte(key, '.'))] {
		line = c.lines[key]
	}
	c.err = complaint(line, fmt.Sprintf(format, args...))
}

// text checks one value that people read.
func (c *specCheck) text(key, what, s string, max int) {
	if n := utf8.RuneCountInString(s); n > max {
		c.fail(key, "the %s has %d characters, %d are allowed", what, n, max)
	}
	for _, r := range s {
		if unicode.IsControl(r) || controls(string(r)) != "" {
			c.fail(key, "the %s holds a control character", what)
		}
	}
}

// clip shortens what a message repeats.
func clip(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:37], "") + "..."
	}
	return s
}

func (c *specCheck) spec(s Spec) {
	if strings.TrimSpace(s.Name) == "" {
		c.fail("name", "the package has no name")
	}
	if _, given := c.lines["name"]; !given && utf8.RuneCountInString(s.Name) > maxName {
		c.fail("", "the folder's name is too long for a package; give a name of at most %d characters", maxName)
	}
	c.text("name", "name", s.Name, maxName)
	c.text("version", "version", s.Version, maxField)
	c.text("vendor", "vendor", s.Vendor, maxField)
	c.text("language", "language", s.Language, maxField)
	c.text("description", "description", s.Description, maxDescription)
	if len(s.Platforms) > maxPlatforms {
		c.fail("platforms", "there are more than %d platforms", maxPlatforms)
	}
	for _, p := range s.Platforms {
		c.text("platforms", "platform", p, maxField)
		system, arch, slash := strings.Cut(p, "/")
		known := []string{Linux, Windows, Darwin}
		if !isWord(system) || slash && !isWord(arch) || !contains(known, system) {
			c.fail("platforms", "%q is not a platform%s", p, suggest(system, known, "; platforms are linux, windows and darwin, or such as linux/amd64"))
		}
	}
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

func isWord(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

func (c *specCheck) program(i int, p specProgram, all []specProgram) site.Program {
	at := func(key string) string { return fmt.Sprintf("program.%d.%s", i, key) }
	if strings.TrimSpace(p.Name) == "" {
		c.fail(at("name"), "a program has no name")
	}
	c.text(at("name"), "program's name", p.Name, maxName)
	for _, other := range all[:i] {
		if strings.EqualFold(other.Name, p.Name) {
			c.fail(at("name"), "two programs are named %q", p.Name)
		}
	}
	if strings.TrimSpace(p.Command) == "" {
		c.fail(at("command"), "program %q has no command", p.Name)
	}
	c.text(at("command"), "command", p.Command, maxCommand)
	c.text(at("uninstall"), "uninstall command", p.Uninstall, maxCommand)
	run := int64(defaultRunTime)
	if p.RunTime != nil {
		run = *p.RunTime
	}
	if run < 1 || run > maxRunTime {
		c.fail(at("run_time"), "run_time is %d minutes, 1 to %d are allowed", run, maxRunTime)
	}
	for _, name := range p.DependsOn {
		c.dependency(at("depends_on"), p.Name, name, all)
	}
	return site.Program{
		Name: p.Name, Command: p.Command, Uninstall: p.Uninstall, RunTime: run,
		DependsOn: p.DependsOn, ExitCodes: c.codes(at("exit_codes"), p.ExitCodes),
	}
}

// dependency checks what a program is to run after: another program of this
// package, or PACKAGE-ID or PACKAGE-ID/PROGRAM of another.
func (c *specCheck) dependency(key, self, name string, all []specProgram) {
	c.text(key, "dependency", name, maxName+9)
	id, _, _ := strings.Cut(name, "/")
	if site.PackageID(id).Valid() {
		return
	}
	var names []string
	for _, p := range all {
		if p.Name == name && name != self {
			return
		}
		if p.Name != self {
			names = append(names, p.Name)
		}
	}
	c.fail(key, "program %q depends on %q, which is neither another program here nor a package id%s", self, name, suggest(name, names, ""))
}

// codes returns the whole table of exit codes: the common ones, as far as the
// package does not say otherwise, and its own.
func (c *specCheck) codes(key string, own map[string]string) map[string]string {
	table := maps.Clone(defaultCodes)
	if len(own) > maxCodes {
		c.fail(key, "there are more than %d exit codes", maxCodes)
		return nil
	}
	meanings := []string{"success", "reboot", "retry", "failure"}
	for code, meaning := range own {
		n, err := strconv.ParseInt(code, 10, 64)
		if err != nil || strconv.FormatInt(n, 10) != code || n < -1<<31 || n >= 1<<32 {
			c.fail(key+"."+code, "%q is not an exit code", clip(code))
		}
		if !contains(meanings, meaning) {
			c.fail(key+"."+code, "exit code %s cannot mean %q%s", clip(code), clip(meaning), suggest(meaning, meanings, "; it means success, reboot, retry or failure"))
		}
		table[code] = meaning
	}
	return table
}

// size makes sure that the package's entry will not be too long for a log.
func (c *specCheck) size(s Spec) {
	var b site.PackageBody
	s.Fill(&b)
	text, err := site.Canonical(b)
	if err != nil {
		c.fail("", "%v", err)
	} else if len(text) > maxBody {
		c.fail("", "the programs take %d bytes, %d are allowed; move long commands into a script of the package", len(text), maxBody)
	}
}
