package site

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
)

func TestClassesHaveNumbersOfTheirOwn(t *testing.T) {
	if len(Classes()) < 20 {
		t.Fatalf("only %d classes", len(Classes()))
	}
	last := 0
	for _, c := range Classes() {
		if c.ID <= last {
			t.Errorf("%d comes after %d", c.ID, last)
		}
		last = c.ID
		block := c.ID / 100
		if block != 200 && block != 201 && block != 202 && block != 203 && block != 205 {
			t.Errorf("%d is in no block", c.ID)
		}
		if ClassByID(c.ID) != c || c.Name() != fmt.Sprintf("FDL-%d", c.ID) {
			t.Errorf("%d is found as %v, and called %s", c.ID, ClassByID(c.ID), c.Name())
		}
	}
	if c := ClassByID(0); c != nil {
		t.Errorf("0 is %v", c)
	}
}

func TestClassesExplainThemselves(t *testing.T) {
	sentence := regexp.MustCompile(`^(\p{Lu}|package\.toml).*[^ ]\.$`)
	titles := map[string]int{}
	for _, c := range Classes() {
		if c.Title == "" || len(c.Title) > 60 || strings.HasSuffix(c.Title, ".") || c.Error() != c.Title {
			t.Errorf("%s: title %q", c.Name(), c.Title)
		}
		if other := titles[c.Title]; other != 0 {
			t.Errorf("%s has the title of %d", c.Name(), other)
		}
		titles[c.Title] = c.ID
		if !sentence.MatchString(c.Cause) {
			t.Errorf("%s: cause %q", c.Name(), c.Cause)
		}
		if !sentence.MatchString(c.Cure) {
			t.Errorf("%s: cure %q", c.Name(), c.Cure)
		}
	}
}

// Scripts depend on these numbers. 0 is success, 19 and 143 come from the
// command line alone.
func TestExitCodes(t *testing.T) {
	meaning := map[int]string{
		1: "failed", 2: "usage or configuration", 3: "partly done", 4: "not allowed", 10: "nothing found", 11: "locked",
		12: "cannot decrypt", 13: "damaged", 14: "held", 15: "for another site", 16: "no space", 17: "untrusted",
		18: "medium gone", 20: "histories contradict", 21: "gate", 70: "internal", 130: "interrupted",
	}
	used := map[int]bool{}
	for _, c := range Classes() {
		if meaning[c.Exit] == "" {
			t.Errorf("%s ends with the undocumented code %d", c.Name(), c.Exit)
		}
		used[c.Exit] = true
	}
	for code, what := range meaning {
		if !used[code] {
			t.Errorf("no class ends with %d, %s", code, what)
		}
	}
}

func TestFault(t *testing.T) {
	f := Damaged.New("volume %d is damaged", 2).In("Volumes %s are good", "1 and 3").
		Then("Try another port").Then("Ask %s", "HQ0").Because(io.ErrUnexpectedEOF)
	if got, want := f.Error(), "volume 2 is damaged. Volumes 1 and 3 are good"; got != want {
		t.Errorf("%q; want %q", got, want)
	}
	if got := strings.Join(f.Next, "|"); got != "Try another port|Ask HQ0" {
		t.Errorf("next is %q", got)
	}
	wrapped := fmt.Errorf("import: %w", f)
	if !errors.Is(wrapped, Damaged) || !errors.Is(wrapped, io.ErrUnexpectedEOF) || errors.Is(wrapped, Held) {
		t.Errorf("%v is of the wrong class", wrapped)
	}
	if AsFault(wrapped) != f {
		t.Error("the fault in the chain was not found")
	}
	if got := Held.New("no parcel").Error(); got != "no parcel" {
		t.Errorf("without a state: %q", got)
	}
}

func TestAnyErrorBecomesAFault(t *testing.T) {
	if f := AsFault(nil); f != nil {
		t.Errorf("nothing became %v", f)
	}
	err := errors.New("100% wrong")
	f := AsFault(err)
	if !errors.Is(f, Failed) || !errors.Is(f, err) || f.Error() != "100% wrong" {
		t.Errorf("%v became %+v", err, f)
	}
}
