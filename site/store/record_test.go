package store

import (
	"bytes"
	"testing"
)

func TestRecordNoticesEveryChange(t *testing.T) {
	key := full(Records, "key")
	rec := seal(key, []byte("the value"))
	value, _, err := open(key, rec)
	if err != nil || string(value) != "the value" {
		t.Fatalf("%q %v", value, err)
	}
	for i := range rec {
		for bit := range 8 {
			rec[i] ^= 1 << bit
			if _, _, err := open(key, rec); err == nil {
				t.Errorf("bit %d of byte %d", bit, i)
			}
			rec[i] ^= 1 << bit
		}
	}
	if _, _, err := open(full(Records, "another"), rec); err == nil {
		t.Error("under another key")
	}
	for n := range rec {
		if _, _, err := open(key, rec[:n]); err == nil {
			t.Errorf("cut to %d bytes", n)
		}
	}
}

func FuzzRecord(f *testing.F) {
	f.Add("rkey", seal("rkey", []byte("value")))
	f.Add("", seal("", nil))
	f.Add("ekey", []byte{recordVersion})
	f.Fuzz(func(t *testing.T, key string, rec []byte) {
		describe(key) // of any key
		value, _, err := open(key, rec)
		if err == nil && !bytes.Equal(seal(key, value), rec) {
			t.Error("sealed again it is another record")
		}
	})
}

func FuzzHead(f *testing.F) {
	for _, h := range []Head{{Epoch: 1}, {Epoch: 7, Edge: edgeOf(lines(0, 300)...), Checkpoint: []byte("c"), Stopped: "why"}} {
		b, err := encodeHead(h)
		ok(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHead(b)
		if err != nil {
			return
		}
		again, err := encodeHead(h)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("encoded again: %s %v", again, err)
		}
	})
}

func FuzzInventory(f *testing.F) {
	f.Add([]byte(inventoryHead+"\n12\n5 00c0ffee MANIFEST\n9 - 000001.sst\n"), true)
	f.Add([]byte(inventoryHead), true)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, text []byte, sum bool) {
		if sum {
			text = withSum(bytes.Clone(text))
		}
		v, err := parseInventory(text)
		if err == nil && !bytes.Equal(v.encode(), text) {
			t.Errorf("encoded again: %q", v.encode())
		}
	})
}
