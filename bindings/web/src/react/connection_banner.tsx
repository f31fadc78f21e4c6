// A thin banner over the top of the thread while there has been no socket for two seconds.
import { useEffect, useState, useSyncExternalStore } from 'react';
import type { ConnectionStatus } from '../core/model';
import { useChatText } from './context';

const PATIENCE_MS = 2_000;
/** After that many failures in a row a person is offered a button. */
const OFFER_AFTER = 5;

export interface ConnectionBannerProps {
  connection: ConnectionStatus;
  onReconnect: () => void;
}

export function ConnectionBanner({ connection, onReconnect }: ConnectionBannerProps) {
  const { strings } = useChatText();
  const isOnline = useSyncExternalStore(subscribeOnline, () => navigator.onLine, () => true);
  const isLong = useIsPast(connection.downSince === null ? null : connection.downSince + PATIENCE_MS);
  const isStopped = connection.phase === 'stopped';
  if (!isStopped && !isLong) return null;
  const words = isStopped
    ? connection.reason === 'unauthorized'
      ? strings.signedOut
      : strings.refused
    : isOnline
      ? strings.connecting
      : strings.offline;
  return (
    <div className="tc-banner" role="status">
      {!isStopped && isOnline && <span className="tc-spinner" aria-hidden="true" />}
      <span>{words}</span>
      {(isStopped || connection.attempt >= OFFER_AFTER) && (
        <button type="button" className="tc-link-button" onClick={onReconnect}>
          {strings.reconnect}
        </button>
      )}
    </div>
  );
}

function useIsPast(time: number | null): boolean {
  const [passed, setPassed] = useState<number | null>(null);
  useEffect(() => {
    if (time === null) return;
    const timer = setTimeout(() => setPassed(time), Math.max(0, time - Date.now()));
    return () => clearTimeout(timer);
  }, [time]);
  return time !== null && passed === time;
}

function subscribeOnline(onChange: () => void): () => void {
  window.addEventListener('online', onChange);
  window.addEventListener('offline', onChange);
  return () => {
    window.removeEventListener('online', onChange);
    window.removeEventListener('offline', onChange);
  };
}
