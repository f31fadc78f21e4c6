// The frame of the advisors' pages: nobody gets in without a session; inside are one chat client, the navigation with
// the unread count, and the chime for conversations that are not on the screen.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { BellRing, LogOut, MessageCircle, UsersRound, Volume2, VolumeX, type LucideIcon } from 'lucide-react';
import { useEffect, useMemo, useState } from 'react';
import { Navigate, NavLink, Outlet, useLocation } from 'react-router';
import { ChatClient, createChime, soundSwitch } from 'travelchat-web';
import { ChatProvider, useInbox, useStore } from 'travelchat-web/react';
import 'travelchat-web/styles.css';
import { api, ApiError, type Account } from '../api';
import { preloadDashboardPages } from '../dashboard_pages';
import { Avatar } from '../parts/avatar';
import { DashboardContext, useDashboard } from '../parts/dashboard_context';
import { useDisclosure } from '../parts/disclosure';
import { locale } from '../parts/locale';
import { pushQuery, useTurnOnPush } from '../parts/push_state';
import { isShown } from '../parts/shown_conversations';
import { UnreadContext } from '../parts/title';
import { Notice, NoticeButton, Splash } from '../parts/whole_page';
import { turnOffPush } from '../push';
import { home, loginPath } from '../return_path';
import { expireSession, leaveSession, sessionQuery, useOtherTabs } from '../session';

export function Dashboard() {
  const session = useQuery(sessionQuery);
  const location = useLocation();
  useOtherTabs();
  if (session.isPending) return <Splash />;
  if (session.isError) {
    return (
      <Notice title="Travel Lab does not answer" text={session.error.message}>
        <NoticeButton onClick={() => void session.refetch()}>Try again</NoticeButton>
      </Notice>
    );
  }
  if (session.data.account === null) {
    const { why } = session.data;
    // Whoever signs in next after a deliberate sign-out may be somebody else.
    const path = why === 'left' ? '/login' : loginPath(location);
    return <Navigate to={path} replace state={{ hasExpired: why === 'expired' }} />;
  }
  return <SignedIn account={session.data.account} />;
}

function SignedIn({ account }: { account: Account }) {
  const queries = useQueryClient();
  const [client, setClient] = useState<ChatClient | null>(null);
  const { id, fullName } = account;
  useEffect(() => {
    const created = new ChatClient({
      me: { type: 'advisor', id, name: fullName },
      credential: { kind: 'session', onExpired: () => expireSession(queries) },
    });
    setClient(created);
    return () => {
      setClient(null);
      created.dispose();
    };
  }, [id, fullName, queries]);
  const dashboard = useMemo(() => client && { account, client }, [account, client]);
  if (dashboard === null) return null;
  return (
    <DashboardContext value={dashboard}>
      <ChatProvider locale={locale}>
        <Frame />
      </ChatProvider>
    </DashboardContext>
  );
}

function Frame() {
  const { client } = useDashboard();
  const inbox = useInbox(client);
  const { unreadCount } = useStore(inbox);
  const { pathname, search } = useLocation();
  const hasConversation = pathname === home && new URLSearchParams(search).has('id');

  useEffect(preloadDashboardPages, []);
  useEffect(() => {
    const chime = createChime();
    const end = inbox.onIncoming((conversation) => {
      // An open thread has a sound of its own, for when nobody looks at it.
      if (!isShown(conversation.id)) chime.play();
    });
    return () => {
      end();
      chime.dispose();
    };
  }, [inbox]);

  return (
    <UnreadContext value={unreadCount}>
      <div className="flex h-view flex-col bg-ground md:flex-row">
        <Navigation unreadCount={unreadCount} isHiddenOnPhones={hasConversation} />
        <div className="min-h-0 min-w-0 flex-1 md:order-2">
          <Outlet />
        </div>
      </div>
    </UnreadContext>
  );
}

/** A rail on the left; on phones a bar at the bottom, which makes room for an open conversation. */
function Navigation({ unreadCount, isHiddenOnPhones }: { unreadCount: number; isHiddenOnPhones: boolean }) {
  return (
    <nav
      aria-label="Main"
      className={`order-2 flex shrink-0 items-stretch justify-around border-t border-line bg-side px-2
        pb-[env(safe-area-inset-bottom)] md:order-1 md:w-20 md:flex-col md:justify-start md:gap-1 md:border-t-0
        md:border-r md:px-2 md:pt-4 md:pb-4 md:pl-[max(0.5rem,env(safe-area-inset-left))]
        ${isHiddenOnPhones ? 'max-md:hidden' : ''}`}
    >
      <NavigationLink to={home} icon={MessageCircle} label="Messages" count={unreadCount} />
      <NavigationLink to="/clients" icon={UsersRound} label="Clients" />
      <AccountMenu />
    </nav>
  );
}

const navigationItem = `relative flex flex-1 flex-col items-center gap-0.5 rounded-xl px-1 py-2 text-[11px] font-medium
  md:flex-none md:py-2.5`;

interface NavigationLinkProps {
  to: string;
  icon: LucideIcon;
  label: string;
  count?: number;
}

function NavigationLink({ to, icon: Icon, label, count = 0 }: NavigationLinkProps) {
  return (
    <NavLink
      to={to}
      className={({ isActive }) =>
        `${navigationItem} ${isActive ? 'text-tint md:bg-hover' : 'text-soft hover:text-ink md:hover:bg-hover'}`
      }
    >
      <span className="relative">
        <Icon aria-hidden="true" strokeWidth={1.75} className="size-6" />
        {count > 0 && (
          <span
            className="absolute -top-1.5 left-3.5 min-w-[18px] rounded-full bg-[#d70015] px-1 text-center text-[11px]
              leading-[18px] font-semibold text-white tabular-nums ring-2 ring-side"
          >
            <span aria-hidden="true">{count > 99 ? '99+' : count}</span>
          </span>
        )}
      </span>
      {label}
      {count > 0 && <span className="sr-only">, {count} unread</span>}
    </NavLink>
  );
}

function AccountMenu() {
  const { account } = useDashboard();
  const menu = useDisclosure();
  const queries = useQueryClient();
  const { data: push } = useQuery(pushQuery);
  const turnOn = useTurnOnPush();
  const hasSound = useStore(soundSwitch);
  const SoundIcon = hasSound ? Volume2 : VolumeX;
  const signOut = useMutation({
    mutationFn: async () => {
      // Before the session ends, or the server would not accept the request. A failure must not keep anybody signed in.
      await turnOffPush().catch(() => {});
      try {
        await api.signOut();
      } catch (failure) {
        if (!(failure instanceof ApiError && failure.status === 401)) throw failure;
      }
    },
    onSuccess: () => leaveSession(queries),
  });
  const action = 'flex w-full items-center gap-3 rounded-lg px-3 py-2 text-left hover:bg-hover disabled:opacity-60';
  return (
    <div className="flex flex-1 md:mt-auto md:flex-none">
      <button
        ref={menu.button}
        type="button"
        aria-label="Account"
        aria-expanded={menu.isOpen}
        aria-controls="account-menu"
        onClick={menu.toggle}
        className={`${navigationItem} w-full text-soft hover:text-ink md:hover:bg-hover`}
      >
        <Avatar url={account.avatarUrl} size={24} />
        <span aria-hidden="true">Account</span>
      </button>
      {menu.isOpen && (
        <div
          ref={menu.box}
          id="account-menu"
          role="group"
          aria-label="Account"
          className="fixed right-3 bottom-[calc(4.5rem+env(safe-area-inset-bottom))] z-30 w-72 rounded-2xl border
            border-line bg-raised p-1.5 text-[15px] text-ink shadow-[0_12px_40px_rgb(0_0_0/0.18)] animate-slideUp
            md:right-auto md:bottom-4 md:left-[5.5rem]"
        >
          <div className="flex items-center gap-3 border-b border-line px-3 pt-2 pb-3">
            <Avatar url={account.avatarUrl} size={40} />
            <div className="min-w-0 leading-tight">
              <p className="truncate font-semibold">{account.fullName}</p>
              <p className="mt-0.5 truncate text-[13px] text-soft">{account.email}</p>
              <p className="mt-0.5 truncate text-[13px] text-soft">{account.orgName}</p>
            </div>
          </div>
          <div className="pt-1.5">
            {push === 'off' && (
              <button type="button" className={action} disabled={turnOn.isPending} onClick={() => turnOn.mutate()}>
                <BellRing aria-hidden="true" strokeWidth={1.75} className="size-5 text-soft" />
                Turn on notifications
              </button>
            )}
            <button
              type="button"
              role="switch"
              aria-checked={hasSound}
              className={action}
              onClick={() => soundSwitch.set(!hasSound)}
            >
              <SoundIcon aria-hidden="true" strokeWidth={1.75} className="size-5 text-soft" />
              <span className="flex-1">Sound of new messages</span>
              <span aria-hidden="true" className="text-[13px] text-soft">
                {hasSound ? 'On' : 'Off'}
              </span>
            </button>
            <button type="button" className={action} disabled={signOut.isPending} onClick={() => signOut.mutate()}>
              <LogOut aria-hidden="true" strokeWidth={1.75} className="size-5 text-soft" />
              Sign out
            </button>
            {(signOut.isError || turnOn.isError) && (
              <p role="alert" className="px-3 py-2 text-[13px] text-alert">
                {(signOut.error ?? turnOn.error)?.message}
              </p>
            )}
          </div>
        </div>
      )}
    </div>
  );
}
