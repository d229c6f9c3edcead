package courier

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"fardel/site"
)

const mib = 1 << 20

func cargo(p site.Priority, sizes ...int64) []Cargo {
	var out []Cargo
	for _, n := range sizes {
		out = append(out, Cargo{n, p})
	}
	return out
}

func TestPlan(t *testing.T) {
	high, low := site.PriorityHigh, site.PriorityLow
	for name, c := range map[string]struct {
		cargo           []Cargo
		fixed, capacity int64
		want            []int
	}{
		"nothing":             {nil, 0, mib, []int{}},
		"all on one":          {cargo(low, mib, mib), 0, 10 * mib, []int{1, 1}},
		"urgent first":        {append(cargo(low, 5*mib), cargo(high, 4*mib)...), 0, 8 * mib, []int{2, 1}},
		"small ones fill up":  {cargo(low, mib, 6*mib, 6*mib, mib), 0, 8 * mib, []int{1, 1, 2, 2}},
		"fixed files count":   {cargo(low, 3*mib, 3*mib), 2 * mib, 8 * mib, []int{1, 2}},
		"urgent ones stay":    {append(cargo(high, 5*mib, 2*mib), cargo(low, 5*mib)...), 0, 8 * mib, []int{1, 1, 2}},
		"in order of the ask": {cargo(low, 2*mib, 2*mib, 2*mib), 0, 5 * mib, []int{1, 1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Plan(c.cargo, c.fixed, c.capacity)
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%v, %v, want %v", got, err, c.want)
			}
		})
	}
}

func TestPlanRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		cargo           []Cargo
		fixed, capacity int64
	}{
		"larger than a medium":     {cargo(site.PriorityLow, 9*mib), 0, 8 * mib},
		"as large as a medium":     {cargo(site.PriorityLow, 8*mib), 0, 8 * mib},
		"4 GiB on a large medium":  {cargo(site.PriorityLow, MaxFile+1), 0, 1 << 40},
		"no room for fixed files":  {nil, 9 * mib, 8 * mib},
		"a size that cannot be":    {cargo(site.PriorityLow, -1), 0, 8 * mib},
		"the largest there can be": {cargo(site.PriorityLow, 1<<62), 0, 8 * mib},
	} {
		if got, err := Plan(c.cargo, c.fixed, c.capacity); !errors.Is(err, site.NoSpace) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, site.NoSpace)
		}
	}
	if _, err := Plan(cargo(site.PriorityLow, MaxFile), 0, 1<<40); err != nil {
		t.Errorf("4 GiB - 1: %v", err)
	}
}

// TestPlanHolds plans at random and checks what a plan promises: no medium holds
// too much, and none is skipped.
func TestPlanHolds(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	priorities := []site.Priority{site.PriorityHigh, site.PriorityMedium, site.PriorityLow}
	for range 500 {
		const fixed, capacity = 2 * mib, 64 * mib
		var all []Cargo
		for range rng.IntN(60) {
			all = append(all, Cargo{rng.Int64N(50 * mib), priorities[rng.IntN(3)]})
		}
		plan, err := Plan(all, fixed, capacity)
		if err != nil {
			t.Fatal(err)
		}
		load := make([]int64, Media(plan))
		for i, m := range plan {
			load[m-1] += Footprint(capacity, all[i].Size)
		}
		for m, sum := range load {
			if sum+fixed > capacity || sum == 0 && len(all) > 0 {
				t.Fatalf("medium %d of %d holds %d", m+1, len(load), sum)
			}
		}
	}
}

func TestParseVolumeSize(t *testing.T) {
	for s, want := range map[string]int64{
		"cd": 737_280_000 - 8*mib, "DVD": 4_700_372_992 - 8*mib, "bd": 25_025_314_816 - 8*mib,
		"4g": 4 << 30, "700M": 700 * mib, "2048k": 2 * mib, "1t": 1 << 40, "1048576": mib,
	} {
		if got, err := ParseVolumeSize(s); err != nil || got != want {
			t.Errorf("%s: %d, %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "g", "0", "1k", "-4g", "+4g", "4gb", "4.7g", "1e9", " 4g", "99999999999t", "dvd2", "\x1b[31m4g"} {
		if got, err := ParseVolumeSize(s); !errors.Is(err, site.BadUsage) {
			t.Errorf("%q: %d, %v, want %v", s, got, err, site.BadUsage)
		}
	}
}

func FuzzParseVolumeSize(f *testing.F) {
	for _, s := range []string{"cd", "4g", "700m", "9007199254740991", "8191t", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := ParseVolumeSize(s); err == nil && (n < minVolume || n > site.MaxInt) {
			t.Errorf("%q is %d", s, n)
		}
	})
}

func FuzzParseSums(f *testing.F) {
	f.Add(sums{"bodies/a": site.DigestOf(nil), "labels/hq0-fld-000042.label": {}}.text())
	f.Add([]byte("00  bodies/a\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := parseSums(b); err == nil && string(s.text()) != string(b) {
			t.Errorf("%q becomes %q", b, s.text())
		}
	})
}

func TestHuman(t *testing.T) {
	for n, want := range map[int64]string{0: "0 bytes", 1023: "1023 bytes", 1536: "1.5 KiB", 4<<30 - 1: "4.0 GiB", 1 << 62: "4096.0 PiB"} {
		if got := human(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
