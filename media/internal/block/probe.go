package block

import "encoding/binary"

const (
	samples    = 16      // spread evenly over the block
	sampleSize = 4 << 10 // bytes of each
	tableBits  = 12
)

// Incompressible reports whether compressing p is not worth the time: its bytes
// are spread as evenly as random ones, and its words do not recur. It looks at
// 64 KiB of p at most, so that its cost does not count. A wrong answer costs
// bytes or time, never correctness.
func Incompressible(p []byte) bool {
	if len(p) < 256 {
		return false // too short to tell, and too short to matter
	}
	var counts [256]int64
	var table [1 << tableBits]uint32
	total, repeats := int64(0), 0
	step := max(len(p)/samples, sampleSize)
	for at := 0; at < len(p); at += step {
		s := p[at:min(at+sampleSize, len(p))]
		total += int64(len(s))
		for _, c := range s {
			counts[c]++
		}
		repeats += recurring(s, &table)
	}
	// By chance a word of four bytes recurs once in a million places.
	if int64(repeats)*64 > total {
		return false
	}
	return even(&counts, total)
}

// recurring counts the words of s that the table has seen. Only every second
// place is looked at: matches worth having are longer than that.
func recurring(s []byte, table *[1 << tableBits]uint32) int {
	n := 0
	for i := 0; i+4 <= len(s); i += 2 {
		w := binary.LittleEndian.Uint32(s[i:])
		slot := &table[w*2654435761>>(32-tableBits)]
		if *slot == w {
			n++
		}
		*slot = w
	}
	return n
}

// even is a chi-square test. For random bytes the statistic is about 255. Each
// unit above that is worth about 0.72 bits over the whole sample, so the bound
// stands for less than one per cent that an entropy coder could save.
func even(counts *[256]int64, total int64) bool {
	sum := int64(0)
	for _, c := range counts {
		sum += c * c
	}
	chi := sum*256/total - total
	return chi < 400+total/12
}
