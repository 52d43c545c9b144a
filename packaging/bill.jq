# A CycloneDX 1.6 document, from what packaging/bill has gathered.

def rows: split("\n") | map(select(. != ""));
def spdx: gsub("/"; " OR ");
def key: "\(.name) \(.version)";
def purl: "pkg:cargo/\(.name)@\(.version)";
# What is in a registry has an address there; our own crates have names only.
def ref: if .source == null then "\(.name)@\(.version)" else purl end;

($linked | rows) as $linked
| ($built | rows) as $built
| ($checksums | rows | map(split(" ") | {key: "\(.[0]) \(.[1])", value: .[2]}) | from_entries) as $checksums
| $metadata[0] as $metadata
| [$metadata.packages[] | select(key | IN($linked[], $built[]))] | sort_by(.name, .version) as $packages
| ($packages | map({key: .id, value: ref}) | from_entries) as $refs
| ($packages | map(select(.name | IN("cloud-token", "cloud-agent-daemon")))) as $programs
| [$toolchain | rows[] | split("\t") | {
    type: "library", name: .[0], version: .[1], "bom-ref": "\(.[0])@\(.[1])", licenses: [{expression: .[2]}]
  }] as $toolchain
| ("cloud-agent@\($programs[0].version)") as $root
| {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    serialNumber: ($serial | "urn:uuid:\(.[0:8])-\(.[8:12])-8\(.[13:16])-8\(.[17:20])-\(.[20:32])"),
    version: 1,
    metadata: {
      timestamp: ($epoch | todate),
      lifecycles: [{phase: "build"}],
      component: {
        type: "application", name: "cloud-agent", version: $programs[0].version, "bom-ref": $root,
        licenses: [{expression: $programs[0].license}]
      },
      properties: [
        {name: "cloud-agent:commit", value: $commit},
        {name: "cloud-agent:rustc", value: $rustc},
        {name: "cloud-agent:target", value: $target}
      ]
    },
    components: ([$packages[] | {
        type: (if IN($programs[]) then "application" else "library" end),
        name, version, "bom-ref": ref,
        # Of what only runs while building, nothing is in the programs.
        scope: (if key | IN($linked[]) then "required" else "excluded" end),
        licenses: [{expression: (.license | spdx)}]
      }
      + (if .source == null then {} else {purl: purl, hashes: [{alg: "SHA-256", content: $checksums[key]}]} end)
      + (if .repository == null then {} else {externalReferences: [{type: "vcs", url: .repository}]} end)
    ] + $toolchain),
    dependencies: ([{ref: $root, dependsOn: (($programs | map(ref)) + ($toolchain | map(."bom-ref")))}]
      + [$metadata.resolve.nodes[] | select($refs[.id]) | {
          ref: $refs[.id],
          dependsOn: [.deps[] | select(any(.dep_kinds[]; .kind != "dev")) | $refs[.pkg] // empty] | unique
        }])
  }
