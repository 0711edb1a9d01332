#!/usr/bin/env bash
# The state of a job of Slurm, by its number: running, success or failed. Another scheduler's command takes scontrol's place.
said=$(scontrol --oneliner show job "$1" 2>&1)
state=$(grep -o 'JobState=[A-Z_]*' <<< "$said")
state=${state#JobState=}
if [ -z "$state" ]; then
  case $said in
    # Slurm forgets a job some minutes after its end (scontrol show config: MinJobAge); its accounts, where it keeps any, do not.
    *"Invalid job id"*) state=$(sacct -X -n -P -o State -j "$1" 2>/dev/null | head -n 1) ;;
    # A queue that does not answer says nothing of the job: taken for dead, it would be submitted twice.
    *) state=RUNNING ;;
  esac
fi
case $state in
  COMPLETED) echo success ;;
  PENDING | CONFIGURING | RUNNING | SUSPENDED | COMPLETING | REQUEUED | STOPPED) echo running ;;
  *) echo failed ;;
esac
