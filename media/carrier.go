package media

import (
	"fmt"
	"regexp"
	"strings"

	"fardel/site"
)

// Names on a carrier. Top and ReadmeName stand at its root or below [Dir]; all
// paths that functions here return are relative to [Dir], with slashes.
const (
	Top        = "FARDEL"
	ReadmeName = "README.txt" // in Top
	SumsName   = "SHA256SUMS" // in each writer's folder

	TrustDir   = "trust"
	LabelsDir  = "labels"
	BodiesDir  = "bodies"
	BundlesDir = "bundles" // bundles and segments

	PartPrefix = "part-" // of the name of a file that is being written
)

// Dir returns the folder of the site that writes, such as FARDEL/HQ0.
func Dir(from site.Code) string { return Top + "/" + string(from) }

// LabelPath returns where the label of a parcel lies.
func LabelPath(n site.ParcelName) string {
	return LabelsDir + "/" + strings.ToLower(n.String()) + labelExt
}

// BodyPath returns where the body of a parcel lies.
func BodyPath(n site.ParcelName) string {
	return BodiesDir + "/" + strings.ToLower(n.String()) + ".body.xz.age"
}

// BundlePath returns where a bundle lies.
func BundlePath(d site.Digest, c Codec) string {
	return fmt.Sprintf("%s/%s.tar.%s.age", BundlesDir, d, c.Ext())
}

// SegmentPath returns where a segment lies.
func SegmentPath(d site.Digest) string { return fmt.Sprintf("%s/%s.seg.xz.age", BundlesDir, d) }

// CharterPath returns where a version of the charter lies.
func CharterPath(version int64) string {
	return fmt.Sprintf("%s/charter-%06d.note", TrustDir, version)
}

// TrustPath returns where the entry about a site lies; index is the entry's
// place in the log of the top site.
func TrustPath(c site.Code, index int64) string {
	return fmt.Sprintf("%s/site-%s-%06d.entry", TrustDir, c.Lower(), index)
}

const labelExt = ".label"

// ParseLabelPath returns the parcel whose label lies at path, as [LabelPath]
// spells it. The name is a stranger's claim until the label is verified.
func ParseLabelPath(path string) (site.ParcelName, error) {
	base, ok := strings.CutPrefix(path, LabelsDir+"/")
	base, ok2 := strings.CutSuffix(base, labelExt)
	if n, err := site.ParseParcelName(base); ok && ok2 && err == nil && LabelPath(n) == path {
		return n, nil
	}
	return site.ParcelName{}, malformed("%q is not where a label lies", clip(path))
}

var fileName = regexp.MustCompile(`^[a-z0-9-][a-z0-9.-]{0,98}[a-z0-9-]$|^[a-z0-9-]$`)

// ValidName reports whether s is a name that a finished file on a carrier may
// have: short, plain and the same on every file system.
func ValidName(s string) bool { return fileName.MatchString(s) && !strings.HasPrefix(s, PartPrefix) }

// Readme is the text that lies in the top folder of every carrier, for whoever
// finds it or is asked to scan it.
const Readme = `This medium carries sealed data between sites of one organisation (Fardel).

EN  Please do not change, rename or delete anything in the folder FARDEL, and
    pass the medium on to the site that the labels name. Nothing here runs by
    itself. The files in "labels" are plain text and say from whom, for whom and
    how much; everything else can be opened by the receiver alone. To check the
    files: go into a folder below FARDEL and run  sha256sum -c SHA256SUMS
    If you found this medium, please hand it to the organisation's IT staff.

DE  Bitte im Ordner FARDEL nichts ändern, umbenennen oder löschen, und den
    Datenträger an den Standort weitergeben, den die Etiketten nennen. Nichts
    hier startet von selbst. Die Dateien in "labels" sind lesbarer Text: von
    wem, für wen, wie viel. Alles andere kann nur der Empfänger öffnen.
    Gefunden? Bitte bei der IT-Abteilung der Organisation abgeben.

FR  Merci de ne rien modifier, renommer ni supprimer dans le dossier FARDEL, et
    de transmettre ce support au site indiqué sur les étiquettes. Rien ici ne
    s'exécute tout seul. Les fichiers de "labels" sont du texte lisible ; seul
    le destinataire peut ouvrir le reste. Si vous avez trouvé ce support,
    remettez-le au service informatique de l'organisation.

ES  No cambie, renombre ni borre nada en la carpeta FARDEL, y entregue el medio
    al sitio que indican las etiquetas. Nada de esto se ejecuta solo. Los
    archivos de "labels" son texto legible; lo demás solo puede abrirlo el
    destinatario. Si ha encontrado este medio, entréguelo al departamento de
    informática de la organización.

IT  Non modificare, rinominare o cancellare nulla nella cartella FARDEL e
    consegnare il supporto alla sede indicata sulle etichette. Nulla si avvia da
    solo. I file in "labels" sono testo leggibile; il resto può aprirlo solo il
    destinatario. Chi trova questo supporto è pregato di consegnarlo al reparto
    informatico dell'organizzazione.
`
