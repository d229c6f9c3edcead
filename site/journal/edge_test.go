package journal

import (
	"bytes"
	"encoding/hex"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// leaves returns n lines that all differ.
func leaves(n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = []byte{byte(i), byte(i >> 8), byte(i >> 16)}
	}
	return out
}

func edgeOf(lines [][]byte) Edge {
	var e Edge
	for _, l := range lines {
		e.Append(LeafHash(l))
	}
	return e
}

// The inputs and roots are those that Certificate Transparency's
// implementations have used to test RFC 6962 since its beginning.
func TestRootsOfRFC6962(t *testing.T) {
	inputs := []string{"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"}
	roots := []string{
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
		"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
		"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
	}
	var e Edge
	for i, want := range roots {
		if r := e.Root(); hex.EncodeToString(r[:]) != want {
			t.Errorf("root of %d entries is %x, want %s", i, r, want)
		}
		if i < len(inputs) {
			line, err := hex.DecodeString(inputs[i])
			if err != nil {
				t.Fatal(err)
			}
			e.Append(LeafHash(line))
		}
	}
}

func TestLeafHashOfAnyLength(t *testing.T) {
	for _, n := range []int{0, 1, 1023, 1024, 1025, 16384} {
		line := bytes.Repeat([]byte{'x'}, n)
		if LeafHash(line) != tlog.RecordHash(line) {
			t.Errorf("hash of a line of %d bytes is wrong", n)
		}
	}
}

func TestEdgeCopiesAreIndependent(t *testing.T) {
	for n := range 20 {
		first := edgeOf(leaves(n))
		second, third := first, first
		before := first.Root()
		second.Append(LeafHash([]byte("second")))
		want := second.Root()
		third.Append(LeafHash([]byte("third")))
		if first.Root() != before || second.Root() != want || third.Root() == want {
			t.Errorf("appending to one copy of an edge of %d changed another", n)
		}
	}
}

func TestEdgeClone(t *testing.T) {
	e := edgeOf(leaves(7))
	want := e.Root()
	clone := e.Clone()
	clone.Hashes[0] = Hash{}
	if e.Root() != want {
		t.Error("the clone shares memory with the edge")
	}
}

func TestEdgeRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 255, 256, 700} {
		e := edgeOf(leaves(n))
		b, err := e.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var again Edge
		if err := again.UnmarshalBinary(b); err != nil {
			t.Fatal(err)
		}
		if again.Size != e.Size || again.Root() != e.Root() || !again.Valid() {
			t.Errorf("edge of %d came back as %v", n, again)
		}
	}
}

func TestEdgeRefusesNonsense(t *testing.T) {
	good, err := edgeOf(leaves(5)).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	negative := append([]byte{0xff}, good[1:]...)
	huge := append([]byte{0x40}, make([]byte, 7+32)...) // 2^62, one hash
	for name, b := range map[string][]byte{
		"nothing": {}, "short": good[:7], "a hash too few": good[:len(good)-32],
		"a hash too many": append(bytes.Clone(good), good[8:40]...), "half a hash": good[:len(good)-1],
		"negative": negative, "huge": huge,
	} {
		var e Edge
		if err := e.UnmarshalBinary(b); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestEdgeNotMarshalledWhenInvalid(t *testing.T) {
	for _, e := range []Edge{{Size: -1}, {Size: 3, Hashes: make([]Hash, 1)}, {Size: 1 << 62, Hashes: make([]Hash, 1)}} {
		if _, err := e.MarshalBinary(); err == nil {
			t.Errorf("edge of size %d with %d hashes was written", e.Size, len(e.Hashes))
		}
	}
}

func FuzzEdge(f *testing.F) {
	for _, n := range []int{0, 1, 3, 256} {
		b, _ := edgeOf(leaves(n)).MarshalBinary()
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var e Edge
		if e.UnmarshalBinary(b) != nil {
			return
		}
		again, err := e.MarshalBinary()
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x came back as %x, %v", b, again, err)
		}
		if e.Append(Hash{}); !e.Valid() && e.Size <= 1<<53 {
			t.Fatalf("not valid after one more entry: %d with %d hashes", e.Size, len(e.Hashes))
		}
	})
}

func BenchmarkEdgeAppend(b *testing.B) {
	line := bytes.Repeat([]byte{'x'}, 605)
	var e Edge
	b.ReportAllocs()
	for b.Loop() {
		e.Append(LeafHash(line))
	}
}
