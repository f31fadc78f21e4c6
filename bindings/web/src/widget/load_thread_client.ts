// In place of src/react/load_thread_client.ts in widget.js (aliases.ts). There a dynamic import would load nothing later,
// and would cost a wrapper around each module behind it.
import { ThreadClient } from '../core/thread_client';

export const loadThreadClient = () => Promise.resolve({ ThreadClient });
