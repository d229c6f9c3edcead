package tree

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// The platforms that a package may name, before an optional slash and an
// architecture.
const (
	Linux   = "linux"
	Windows = "windows"
	Darwin  = "darwin"
)

// names judges file names for the platforms of one package. What a platform
// does not bear is an error if the package names that platform, and a note if
// not: a package for Linux servers may well hold a file named aux.c.
type names struct {
	windows, folding bool
	fold             cases.Caser
}

func newNames(platforms []string) *names {
	n := &names{fold: cases.Fold()}
	for _, p := range platforms {
		system, _, _ := strings.Cut(p, "/")
		n.windows = n.windows || system == Windows
		n.folding = n.folding || system == Windows || system == Darwin
	}
	return n
}

// key returns what two names have in common that a file system without regard
// to case and spelling takes for one.
func (n *names) key(name string) string {
	ascii := true
	for i := range len(name) {
		ascii = ascii && name[i] < 0x80
	}
	if ascii {
		return strings.ToLower(name)
	}
	return norm.NFC.String(n.fold.String(norm.NFC.String(name)))
}

// onWindows returns what Windows has against the name, or "".
func onWindows(name string) string {
	if i := strings.IndexFunc(name, func(r rune) bool { return r < 0x20 || strings.ContainsRune(`<>:"|?*\`, r) }); i >= 0 {
		return fmt.Sprintf("Windows allows no %q in a name", name[i:i+1])
	}
	if strings.HasSuffix(name, ".") || strings.HasSuffix(name, " ") {
		return "Windows drops a dot or space at the end of a name"
	}
	base, _, _ := strings.Cut(name, ".")
	base = strings.ToUpper(strings.TrimRight(base, " "))
	if slices.Contains(devices, base) {
		return "Windows keeps the name " + base + " for a device"
	}
	if len(utf16.Encode([]rune(name))) > maxElement {
		return "the name is too long for Windows"
	}
	return ""
}

var devices = func() []string {
	list := []string{"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}
	for _, port := range []string{"COM", "LPT"} {
		for _, n := range "0123456789¹²³" {
			list = append(list, port+string(n))
		}
	}
	return list
}()

// controls returns a remark about characters that make a name read differently
// from what it is, or "".
func controls(name string) string {
	for _, r := range name {
		switch {
		case r < 0x20 || r >= 0x7f && r < 0xa0:
			return "the name holds a control character"
		case r == 0x061c || r == 0x200e || r == 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			return "the name holds a character that turns the direction of writing"
		}
	}
	return ""
}
