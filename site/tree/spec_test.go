package tree

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"fardel/site"
)

const wholeSpec = `name = "Editor"
version = "4.2"
vendor = "ACME"
language = "en"
description = "Edits."
platforms = ["linux", "windows/amd64"]

[[program]]
name = "install"
command = 'setup.exe /q'
uninstall = "setup.exe /x"
run_time = 30
[program.exit_codes]
17 = "retry"
"3010" = "success"

[[program]]
name = "configure"
command = "config.sh"
depends_on = ["install", "HQ000001"]
`

func TestSpec(t *testing.T) {
	got, err := ParseSpec([]byte(wholeSpec), "folder")
	if err != nil {
		t.Fatal(err)
	}
	want := Spec{
		Name: "Editor", Version: "4.2", Vendor: "ACME", Language: "en", Description: "Edits.",
		Platforms: []string{"linux", "windows/amd64"},
		Programs: []site.Program{
			{Name: "install", Command: "setup.exe /q", Uninstall: "setup.exe /x", RunTime: 30,
				ExitCodes: map[string]string{"0": "success", "1707": "success", "3010": "success", "1641": "reboot", "1618": "retry", "17": "retry"}},
			{Name: "configure", Command: "config.sh", RunTime: 120, DependsOn: []string{"install", "HQ000001"},
				ExitCodes: defaultCodes},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	body := site.PackageBody{Source: 7, Files: 3}
	got.Fill(&body)
	if body.Source != 7 || body.Files != 3 || body.Vendor != "ACME" || len(body.Programs) != 2 {
		t.Errorf("filled %+v", body)
	}
}

func TestSpecFromFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tools")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if s, err := ReadSpec(dir); err != nil || s.Name != "tools" || len(s.Programs) > 0 {
		t.Errorf("without a file: %+v, %v", s, err)
	}
	put(t, dir, SpecName, "version = '1'", 0o600)
	if s, err := ReadSpec(dir); err != nil || s.Name != "tools" || s.Version != "1" {
		t.Errorf("without a name: %+v, %v", s, err)
	}
	secret := put(t, filepath.Dir(dir), "secret", "name = 'x'", 0o600)
	os.Remove(filepath.Join(dir, SpecName))
	if err := os.Symlink(secret, filepath.Join(dir, SpecName)); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSpec(dir); !errors.Is(err, site.BadPackage) {
		t.Errorf("a link: %v", err)
	}
	if _, err := ReadSpec(filepath.Join(dir, "none")); !errors.Is(err, site.BadUsage) {
		t.Errorf("no folder: %v", err)
	}
}

func TestSpecComplains(t *testing.T) {
	program := "[[program]]\nname = 'a'\ncommand = 'c'\n"
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", "name = 'x'\n\nverion = '1'", `package.toml:3: there is no key "verion"; did you mean "version"?`},
		{"swapped letters", "nmae = 'x'", `:1: there is no key "nmae"; did you mean "name"?`},
		{"far from all", "colour = 'x'", `:1: there is no key "colour"`},
		{"upper case", "Name = 'x'", `:1: there is no key "Name"; did you mean "name"?`},
		{"unknown table", "name = 'x'\n[[programs]]\nname = 'a'", `:2: there is no key "programs"; did you mean "program"?`},
		{"unknown in a program", program + "\n" + program + "runtime = 5", `:8: there is no key "runtime"; did you mean "run_time"?`},
		{"syntax", "name = 'x'\nversion = \n", "package.toml:2: "},
		{"wrong type", "name = 'x'\nversion = 4", "package.toml:2: the value of version does not fit: it is a number, and should be a text"},
		{"twice", "name = 'x'\nname = 'y'", "package.toml:2: "},
		{"long name", "version = '1'\nname = '" + strings.Repeat("ä", 51) + "'", ":2: the name has 51 characters, 50 are allowed"},
		{"long description", "description = '" + strings.Repeat("x", 129) + "'", ":1: the description has 129"},
		{"long version", "version = '" + strings.Repeat("x", 33) + "'", ":1: the version has 33"},
		{"blank name", "name = ' '", ":1: the package has no name"},
		{"control character", "vendor = \"a\\u001b[2J\"", ":1: the vendor holds a control character"},
		{"turned writing", "vendor = \"a\u202e\"", ":1: the vendor holds a control character"},
		{"platform", "platforms = ['linux', 'window']", `:1: "window" is not a platform; did you mean "windows"?`},
		{"architecture", "platforms = ['linux/']", `:1: "linux/" is not a platform`},
		{"no command", "[[program]]\nname = 'a'", `:1: program "a" has no command`},
		{"no program name", "\n[[program]]\ncommand = 'a'", ":2: a program has no name"},
		{"same name", program + "\n[[program]]\nname = 'A'\ncommand = 'c'", `:6: two programs are named "A"`},
		{"run time", program + "run_time = 0", ":4: run_time is 0 minutes"},
		{"exit code", program + "[program.exit_codes]\n0x1 = 'success'", `:5: "0x1" is not an exit code`},
		{"meaning", program + "[program.exit_codes]\n5 = 'sucess'", `:5: exit code 5 cannot mean "sucess"; did you mean "success"?`},
		{"depends on itself", program + "depends_on = ['a']", `:4: program "a" depends on "a"`},
		{"depends on nothing", program + "depends_on = ['b']", `:4: program "a" depends on "b"`},
		{"long command", "[[program]]\nname = 'a'\ncommand = '" + strings.Repeat("x", 2049) + "'", ":3: the command has 2049"},
		{"not UTF-8", "name = '\xff'", "package.toml is not UTF-8 text"},
		{"too long", strings.Repeat("#", maxSpec+1), "package.toml is longer than 64 KiB"},
		{"too much", strings.Repeat("[[program]]\nname = 'NAME'\ncommand = '"+strings.Repeat("x", 2000)+"'\n", 8), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i := 0; strings.Contains(c.text, "NAME"); i++ {
				c.text = strings.Replace(c.text, "NAME", string(rune('a'+i)), 1)
			}
			_, err := ParseSpec([]byte(c.text), "folder")
			if !errors.Is(err, site.BadPackage) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "ab", 2}, {"ab", "", 2}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "abd", 1}, {"kitten", "sitting", 3}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%s and %s: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func FuzzSpec(f *testing.F) {
	f.Add([]byte(wholeSpec))
	f.Add([]byte("name = 'x'\n[[program]]\nrun_time = 1\n"))
	f.Add([]byte("[program.exit_codes]\n0 = 'x'"))
	f.Fuzz(func(t *testing.T, text []byte) {
		spec, err := ParseSpec(text, "folder")
		if err != nil {
			if !errors.Is(err, site.BadPackage) || len(err.Error()) > 2000 {
				t.Errorf("%q gives %v", text, err)
			}
			return
		}
		// Written out again, it says the same.
		file := specFile{Spec: spec}
		for _, p := range spec.Programs {
			file.Program = append(file.Program, specProgram{p.Name, p.Command, p.Uninstall, &p.RunTime, p.DependsOn, p.ExitCodes})
		}
		var b bytes.Buffer
		if err := toml.NewEncoder(&b).Encode(file); err != nil {
			t.Fatal(err)
		}
		again, err := ParseSpec(b.Bytes(), "other")
		var x, y site.PackageBody
		spec.Fill(&x)
		again.Fill(&y)
		one, _ := site.Canonical(x)
		two, _ := site.Canonical(y)
		if err != nil || !bytes.Equal(one, two) {
			t.Errorf("%q became %q: %v\n%s\n%s", text, b.Bytes(), err, one, two)
		}
	})
}
