// The state of web push for the pages: resumed once after signing in, then whatever a person chose.
import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';
import { resumePush, turnOnPush } from '../push';

export const pushQuery = queryOptions({ queryKey: ['push'], queryFn: resumePush, staleTime: Infinity, retry: false });

export function useTurnOnPush() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: turnOnPush,
    onSuccess: (state) => queries.setQueryData(pushQuery.queryKey, state),
  });
}
