# The documentation site. Part of ../../build.sh, which reads this file: `./build.sh docs`.
# shellcheck shell=bash

MDBOOK=0.5.4

# The API reference, from the declarations that are shipped. Typedoc does not take the repository's TypeScript yet,
# so it lives in a package of its own, installed where nothing else is.
docs_api() {
  local tool=$CACHE/docs-api to=$1
  if ! cmp -s docs/book/api/package-lock.json "$tool/installed"; then
    say "installing typedoc"
    mkdir -p "$tool"
    cp docs/book/api/package.json docs/book/api/package-lock.json "$tool/"
    npm ci --prefix "$tool" --no-fund --no-audit >&2 || die "npm ci failed for docs/book/api; is the npm registry reachable?"
    cp docs/book/api/package-lock.json "$tool/installed"
  fi
  cat >"$tool/tsconfig.json" <<JSON
{ "compilerOptions": { "module": "nodenext", "target": "es2022", "lib": ["es2022", "dom", "esnext.disposable"], "types": [], "strict": true },
  "files": ["$DIST/onshelf/index.d.ts", "$DIST/onshelf/privacy.d.ts"] }
JSON
  rm -rf "$to"
  "$tool/node_modules/.bin/typedoc" --plugin typedoc-plugin-markdown --tsconfig "$tool/tsconfig.json" --logLevel Error \
    --entryPoints "$DIST/onshelf/index.d.ts" --entryPoints "$DIST/onshelf/privacy.d.ts" --basePath "$DIST/onshelf" \
    --readme none --hidePageHeader --hideBreadcrumbs --outputFileStrategy modules --disableSources --excludeInternal --out "$to" >&2
}

setup_docs() { cargo_tool mdbook "$MDBOOK" mdbook --no-default-features --features search; }

docs() {
  setup_base
  setup_npm
  setup_docs || die "mdbook could not be installed"
  build_package
  local work=$ROOT/build/book
  docs_api "$work/api"
  say "the documentation site"
  rm -rf "$work/src" "$ROOT/build/site"
  cp docs/book/book.toml docs/book/site.css docs/book/site.js "$work/"
  node docs/book/stage.mjs "$work/src" "$work/api"
  mdbook build "$work" >&2
  node docs/book/links.mjs "$ROOT/build/site" || die "links lead nowhere"
  note "build/site/index.html"
}
