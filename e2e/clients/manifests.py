"""Checks manifests for Kubernetes against the schemas of the oldest and the newest version."""

import json
import sys

import kubernetes_validate
import yaml

VERSIONS = ["1.29.0", "1.37.0"]


def main() -> None:
    """Prints the kinds that were found valid; one that is not ends the program."""
    kinds = []
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as file:
            resources = [resource for resource in yaml.safe_load_all(file) if resource]
        for resource in resources:
            for version in VERSIONS:
                try:
                    kubernetes_validate.validate(resource, version, strict=True)
                except kubernetes_validate.ValidationError as error:
                    place = ".".join(str(part) for part in error.path)
                    sys.exit(f"{path}: {resource['kind']}: {version}: {place}: {error.message}")
            kinds.append(resource["kind"])
    print(json.dumps(kinds))


main()
