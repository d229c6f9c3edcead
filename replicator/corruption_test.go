package replicator_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"fardel/fixtures/world"
	"fardel/media"
	"fardel/replicator"
	"fardel/site"
	"fardel/site/host"
)

// memory is a carrier that holds its files in memory, so that a thousand spoilt
// media cost no writing.
type memory struct {
	files map[site.Code]map[string][]byte
	opens map[string]int // how often each file was opened
}

// remember reads a whole medium.
func remember(w *world.World, medium string) memory {
	w.Helper()
	c := openMedium(w, medium)
	m := memory{map[site.Code]map[string][]byte{}, map[string]int{}}
	writers, err := c.Writers()
	must(w, err)
	for _, code := range writers {
		names, err := c.Names(code)
		must(w, err)
		m.files[code] = map[string][]byte{}
		for _, n := range names {
			f, _, err := c.Open(code, n)
			must(w, err)
			b, err := io.ReadAll(f)
			must(w, errors.Join(err, f.Close()))
			m.files[code][n] = b
		}
	}
	return m
}

// but returns the medium with one file replaced; nil takes it away.
func (m memory) but(from site.Code, name string, data []byte) memory {
	out := memory{map[site.Code]map[string][]byte{}, map[string]int{}}
	for code, files := range m.files {
		out.files[code] = map[string][]byte{}
		for n, b := range files {
			out.files[code][n] = b
		}
	}
	if data == nil {
		delete(out.files[from], name)
	} else {
		out.files[from][name] = data
	}
	return out
}

// names lists the files in one of a writer's folders.
func (m memory) names(from site.Code, prefix string) (out []string) {
	for n := range m.files[from] {
		if strings.HasPrefix(n, prefix) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// Writers implements [replicator.Carrier].
func (m memory) Writers() (out []site.Code, err error) {
	for c := range m.files {
		out = append(out, c)
	}
	slices.Sort(out)
	return out, nil
}

// Names implements [replicator.Carrier].
func (m memory) Names(from site.Code) ([]string, error) { return m.names(from, ""), nil }

// Open implements [replicator.Carrier].
func (m memory) Open(from site.Code, name string) (io.ReadCloser, int64, error) {
	b, ok := m.files[from][name]
	if !ok {
		return nil, 0, fs.ErrNotExist
	}
	m.opens[string(from)+"/"+name]++
	return io.NopCloser(bytes.NewReader(b)), int64(len(b)), nil
}

// spoil changes a file at one random place: a flipped bit, a byte less or more,
// or the rest cut off.
func spoil(rnd *rand.Rand, b []byte) (out []byte, how string) {
	at := rnd.IntN(len(b))
	switch rnd.IntN(8) {
	case 0:
		return slices.Delete(slices.Clone(b), at, at+1), fmt.Sprintf("without byte %d", at)
	case 1:
		return slices.Insert(slices.Clone(b), at, byte(rnd.IntN(256))), fmt.Sprintf("with a byte more at %d", at)
	case 2:
		return slices.Clone(b[:at]), fmt.Sprintf("cut at %d", at)
	}
	out = slices.Clone(b)
	bit := rnd.IntN(8)
	out[at] ^= 1 << bit
	return out, fmt.Sprintf("bit %d of byte %d flipped", bit, at)
}

// noise returns bytes that do not compress, so that sealed files have as many
// places as plain ones.
func noise(rnd *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.IntN(256))
	}
	return string(b)
}

// stick makes a medium from EU1 for FLD, which has never heard of anybody: it
// needs the charter, EU1's card, label, body, segments, and four bundles.
func stick(t *testing.T, rnd *rand.Rand) (*world.World, memory, []site.PackageID) {
	t.Helper()
	w := world.New(t)
	w.Top("HQ0")
	w.Join("EU1", "HQ0")
	w.Join("FLD", "EU1")
	var ids []site.PackageID
	for i := range 4 {
		dir := w.Tree(fmt.Sprint("package-", i), map[string]string{"a": noise(rnd, 3000), "b/c": noise(rnd, 2000)})
		ids = append(ids, w.AddPackage("HQ0", dir, "FLD"))
	}
	w.At("HQ0", func(h *host.Host) { // enough entries for a segment
		must(t, h.Update(func(v *host.View) error {
			var list []site.Entry
			for i := range 300 {
				list = append(list, entry(w, site.KindCollection, fmt.Sprint("c", i), map[string]string{"text": strings.Repeat(fmt.Sprint(rnd.Uint64()), 20)}))
			}
			return v.Append(site.Decisions, list...)
		}))
	})
	hop(w, "HQ0", "EU1")
	w.Export("EU1", "stick", "FLD")
	m := remember(w, "stick")
	if bundles, segments := len(m.bundles("EU1")), len(m.segments("EU1")); bundles != 4 || segments == 0 {
		t.Fatalf("the stick has %d bundles and %d segments", bundles, segments)
	}
	return w, m, ids
}

// bundles lists the bundles of a writer.
func (m memory) bundles(from site.Code) []string {
	return slices.DeleteFunc(m.names(from, media.BundlesDir), isSegment)
}

// segments lists the segments of a writer.
func (m memory) segments(from site.Code) []string {
	return slices.DeleteFunc(m.names(from, media.BundlesDir), func(n string) bool { return !isSegment(n) })
}

func isSegment(name string) bool { return strings.Contains(name, ".seg.") }

// Whatever happens to one byte of what a site needs: nothing of it is taken, the
// class of the fault is right, and all stays as it was. The good medium then
// brings everything.
func TestOneSpoiltByteIsNeverAccepted(t *testing.T) {
	rnd := rand.New(rand.NewPCG(20261120, 1))
	w, good, ids := stick(t, rnd)
	segments := good.segments("EU1")
	// In this order, because a good charter is kept as soon as it was seen.
	for _, tc := range []struct {
		file    string
		places  int
		classes []*site.Class
	}{
		{good.names("EU1", media.TrustDir+"/charter")[0], 100, []*site.Class{site.Untrusted}},
		{good.names("EU1", media.TrustDir+"/site")[0], 100, []*site.Class{site.Untrusted}},
		{good.names("EU1", media.LabelsDir)[0], 200, []*site.Class{site.Untrusted, site.Damaged}},
		{good.names("EU1", media.BodiesDir)[0], 200, []*site.Class{site.Damaged}},
		{segments[0], 75, []*site.Class{site.Damaged}},
		{segments[len(segments)-1], 75, []*site.Class{site.Damaged}},
	} {
		w.At("FLD", func(h *host.Host) {
			if _, err := importOnce(t, w, h, good.but("EU1", tc.file, nil)); err == nil {
				t.Fatalf("%s is not needed", tc.file)
			}
			before := lookAt(w, h)
			for range tc.places * times() {
				bad, how := spoil(rnd, good.files["EU1"][tc.file])
				if bytes.Equal(bad, good.files["EU1"][tc.file]) {
					continue // the byte more was one that fits
				}
				rep, err := importOnce(t, w, h, good.but("EU1", tc.file, bad))
				if err == nil || !slices.Contains(tc.classes, site.AsFault(err).Class) || len(rep.Installed) > 0 {
					t.Fatalf("%s %s: %v, installed %v", tc.file, how, err, rep.Installed)
				}
				if !lookAt(w, h).equal(before) {
					t.Fatalf("%s %s: something has changed", tc.file, how)
				}
			}
		})
	}
	t.Run("bundles", func(t *testing.T) { spoilBundles(t, rnd, w, good) })
	w.At("FLD", func(h *host.Host) {
		rep, err := importOnce(t, w, h, good)
		if err != nil || len(rep.Installed) != len(ids) {
			t.Fatalf("the good medium: %v, installed %v", err, rep.Installed)
		}
	})
}

// times is how many times the places of a quick run are tried.
func times() int {
	if os.Getenv("FARDEL_SWEEP") != "" {
		return 100
	}
	return 1
}

// spoilBundles spoils one bundle after the other, at a site that has everything
// else.
func spoilBundles(t *testing.T, rnd *rand.Rand, w *world.World, good memory) {
	for _, name := range good.bundles("EU1") {
		c := w.Copy(t, "FLD")
		c.At("FLD", func(h *host.Host) {
			rep, err := importOnce(t, c, h, good.but("EU1", name, nil))
			if err != nil || len(rep.Installed) != 3 || len(rep.Waiting) != 1 {
				t.Fatalf("without one bundle: %v, installed %v, waiting %v", err, rep.Installed, rep.Waiting)
			}
			before := lookAt(c, h)
			for range 65 * times() {
				bad, how := spoil(rnd, good.files["EU1"][name])
				if bytes.Equal(bad, good.files["EU1"][name]) {
					continue
				}
				rep, err := importOnce(t, c, h, good.but("EU1", name, bad))
				if !errors.Is(err, site.Damaged) || len(rep.Installed) > 0 {
					t.Fatalf("%s %s: %v, installed %v", name, how, err, rep.Installed)
				}
				if !lookAt(c, h).equal(before) {
					t.Fatalf("%s %s: something has changed:\n%s\n%s", name, how, before.packages, lookAt(c, h).packages)
				}
			}
			if rep, err = importOnce(t, c, h, good); err != nil || len(rep.Installed) != 1 {
				t.Fatalf("the good medium: %v, installed %v", err, rep.Installed)
			}
		})
	}
}

func importOnce(t testing.TB, w *world.World, h *host.Host, c replicator.Carrier) (*replicator.Report, error) {
	t.Helper()
	r, err := replicator.New(h, w.Options)
	must(t, err)
	return r.Import(context.Background(), c, replicator.ImportOptions{Medium: "stick"})
}

// One bundle that is spoilt does not keep out the others, nor the entries.
func TestGoodBundlesAreKept(t *testing.T) {
	rnd := rand.New(rand.NewPCG(20261120, 2))
	w, good, ids := stick(t, rnd)
	for _, name := range good.bundles("EU1") {
		c := w.Copy(t, "FLD")
		c.At("FLD", func(h *host.Host) {
			bad, how := spoil(rnd, good.files["EU1"][name])
			rep, err := importOnce(t, c, h, good.but("EU1", name, bad))
			if !errors.Is(err, site.Damaged) || len(rep.Installed) != len(ids)-1 || rep.Parcels[0].Outcome != replicator.Imported {
				t.Errorf("%s %s: %v, installed %v", name, how, err, rep.Installed)
			}
			if rep, err := importOnce(t, c, h, good); err != nil || len(rep.Installed) != 1 {
				t.Errorf("the good medium afterwards: %v, installed %v", err, rep.Installed)
			}
		})
	}
}

// A file that is missing as a whole is named; a bundle that is missing is no
// fault, since it may be on another medium.
func TestMissingFiles(t *testing.T) {
	w, good, ids := stick(t, rand.New(rand.NewPCG(20261120, 3)))
	for _, tc := range []struct {
		prefix string
		class  *site.Class
		words  string
	}{
		{media.TrustDir + "/charter", site.Untrusted, "no charter"},
		{media.TrustDir + "/site", site.Untrusted, "not signed by EU1"},
		{media.LabelsDir, site.NoParcels, "no parcels"},
		{media.BodiesDir, site.Damaged, "lacks its file"},
	} {
		w.At("FLD", func(h *host.Host) {
			rep, err := importOnce(t, w, h, good.but("EU1", good.names("EU1", tc.prefix)[0], nil))
			refused(t, rep, err, tc.class, tc.words)
		})
	}
	// What is not needed may be spoilt: the text for people and the checksums
	// for tools are not even read, and a charter that is known is not needed.
	w.At("FLD", func(h *host.Host) {
		charter := good.names("EU1", media.TrustDir+"/charter")[0]
		spoilt := good.but("EU1", media.SumsName, []byte("nothing")).but("EU1", "README.txt", []byte("nothing"))
		rep, err := importOnce(t, w, h, spoilt)
		if err != nil || len(rep.Installed) != len(ids) {
			t.Fatalf("installed %v, %v", rep.Installed, err)
		}
		if rep, err = importOnce(t, w, h, good.but("EU1", charter, []byte("nothing"))); err != nil || rep.Parcels[0].Outcome != replicator.Already {
			t.Fatalf("with a spoilt charter that is known: %v", err)
		}
	})
}

// A medium may answer differently the second time. Nothing that decides is read
// twice, so that the verdict is that of the first reading.
func TestEachFileIsReadOnce(t *testing.T) {
	w, good, ids := stick(t, rand.New(rand.NewPCG(20261120, 4)))
	for _, tc := range []struct {
		name      string
		first     int // which of the readings is the good one
		installed int
	}{
		{"good at first, then bad", 1, len(ids)},
		{"bad at first, then good", 2, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := w.Copy(t, "FLD")
			c.At("FLD", func(h *host.Host) {
				m := fickle{good.but("EU1", "none", nil), tc.first}
				rep, err := importOnce(t, c, h, m)
				if len(rep.Installed) != tc.installed || (err == nil) != (tc.installed > 0) {
					t.Errorf("installed %v, %v", rep.Installed, err)
				}
				for name, n := range m.opens {
					if n > 1 {
						t.Errorf("%s was read %d times", name, n)
					}
				}
			})
		})
	}
}

// fickle gives each file right only the good-th time that it is opened.
type fickle struct {
	memory
	good int
}

// Open implements [replicator.Carrier].
func (f fickle) Open(from site.Code, name string) (io.ReadCloser, int64, error) {
	r, size, err := f.memory.Open(from, name)
	if err != nil || f.opens[string(from)+"/"+name] == f.good {
		return r, size, err
	}
	b := slices.Clone(f.files[from][name])
	b[len(b)/2] ^= 1
	return io.NopCloser(bytes.NewReader(b)), size, nil
}
