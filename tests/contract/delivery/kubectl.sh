#!/bin/sh
# Stands for a cluster's kubectl: writes down what it is told, and has the migration end as $MIGRATION says.
case "$*" in
  kustomize*) exec kustomize build "$2" ;;
  apply*) cat > "$SAID.stdin" ;;
esac
printf '%s\n' "$*" >> "$SAID"
case "$*" in
  *condition=complete*) [ "$MIGRATION" = succeeds ] ;;
  *condition=failed*) [ "$MIGRATION" = fails ] ;;
esac
